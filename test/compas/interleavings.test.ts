import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  accessTokenMaxAgeInSeconds,
  type BothStores,
  openBothStores,
  travel,
} from "../support/both-stores.js";
import { SharedSessionModel } from "../support/shared-session-model.js";
import type { Tokens } from "../support/tokens.js";

let stores: BothStores;

beforeAll(async () => {
  stores = await openBothStores();
  // Whole seconds: what a JWT can say.
  vi.setSystemTime(Math.floor(Date.now() / 1000) * 1000);
});
afterAll(() => stores.close());

const sides = ["compas", "bridge"] as const;
const side = fc.constantFrom(...sides);
const pick = fc.nat({ max: 99 });
const action = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant("refresh" as const), side, pick }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("update" as const), side, pick }) },
  // Within a few refreshes, about as long as the grace period, and longer than an access token lives.
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("travel" as const),
      seconds: fc.constantFrom(1, 4, 9, 14, 15, 16, accessTokenMaxAgeInSeconds + 50),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("clean up" as const), side }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("invalidate" as const), side }) },
);
type Action = typeof action extends fc.Arbitrary<infer Value> ? Value : never;

describe("on one session, in any order,", () => {
  test("both sides agree with the model on what is live, and with each other", async () => {
    await fc.assert(
      fc.asyncProperty(side, fc.array(action, { minLength: 4, maxLength: 16 }), play),
      { numRuns: 40, seed: 20_260_101 },
    );
  });

  async function play(issuer: (typeof sides)[number], actions: Action[]): Promise<void> {
    const model = new SharedSessionModel(() => Date.now(), accessTokenMaxAgeInSeconds * 1000);
    const leaksBefore = (await stores.jobs()).length;
    model.issued(await stores[issuer].create({ value: 0 }));
    model.data = { value: 0 };
    const id = (await stores.bridge.get(model.pairs[0]!.tokens.accessToken))!.id;
    for (const action of actions) {
      await act(model, action, id);
      await expectAgreement(model);
      travel(1);
    }
    expect(await stores.jobs()).toHaveLength(leaksBefore + model.leaks);
  }

  async function act(model: SharedSessionModel, action: Action, id: string): Promise<void> {
    if (action.do === "travel") return travel(action.seconds);
    const store = stores[action.side];
    switch (action.do) {
      case "refresh": {
        const pair = model.pairs[action.pick % model.pairs.length]!;
        const expected = model.refresh(action.side, pair);
        const given = await store.refreshTokens(pair.tokens.refreshToken);
        if (expected === "refused") expect(given).toBeUndefined();
        else if (expected !== "new") expect(given).toEqual(expected.tokens);
        else {
          const known = model.pairs.map(({ tokens }) => tokens.refreshToken);
          expect(known).not.toContain(given!.refreshToken);
          const successor = model.issued(given!);
          if (action.side === "bridge") pair.successor = successor;
        }
        return;
      }
      case "update": {
        const live = model.pairs.find((pair) => model.isAccepted(pair));
        if (live === undefined) return;
        const session = (await store.get(live.tokens.accessToken))!;
        session.data = { value: action.pick, by: action.side };
        await store.update(session);
        model.data = session.data;
        return;
      }
      case "clean up":
        model.cleanUp();
        return store.cleanupExpiredSessions(0);
      case "invalidate":
        model.invalidate();
        return store.invalidate({ id });
    }
  }

  async function expectAgreement(model: SharedSessionModel): Promise<void> {
    // Compas refuses what was revoked before now.
    travel(0.001);
    for (const reader of sides) {
      const found = await Promise.all(
        model.pairs.map(({ tokens }) => stores[reader].get(tokens.accessToken)),
      );
      expect(found.map((session) => session?.data)).toEqual(
        model.pairs.map((pair) => (model.isAccepted(pair) ? model.data : undefined)),
      );
    }
    travel(-0.001);
  }
});

describe("at once", () => {
  const readable = async ({ accessToken }: Tokens) => [
    (await stores.compas.get(accessToken)) !== undefined,
    (await stores.bridge.get(accessToken)) !== undefined,
  ];

  test("refreshes by both sides leave every client a pair that both take", async () => {
    let pair = await stores.compas.create({});
    for (let round = 0; round < 15; round += 1) {
      const { refreshToken } = pair;
      const given = await Promise.all(
        [...sides, ...sides, ...sides].map((name) => stores[name].refreshTokens(refreshToken)),
      );
      travel(1);
      for (const tokens of given) expect(await readable(tokens!)).toEqual([true, true]);
      const ours = given.filter((_, index) => index % 2 === 1);
      expect(new Set(ours.map((tokens) => tokens!.refreshToken)).size).toBe(1);
      pair = given[round % given.length]!;
      travel(60);
    }
  });

  test.each(sides)("an end by %s and refreshes by both leave nothing alive", async (ender) => {
    for (let round = 0; round < 15; round += 1) {
      const pair = await stores.compas.create({});
      const session = (await stores.bridge.get(pair.accessToken))!;
      const [, ...given] = await Promise.all([
        stores[ender].invalidate(session),
        ...[...sides, ...sides].map((name) => stores[name].refreshTokens(pair.refreshToken)),
      ]);
      travel(1);
      for (const tokens of [pair, ...given]) {
        if (tokens === undefined) continue;
        expect(await readable(tokens)).toEqual([false, false]);
        for (const name of sides) {
          expect(await stores[name].refreshTokens(tokens.refreshToken)).toBeUndefined();
        }
      }
    }
  });
});

import { jobSessionStoreProcessLeakedSession } from "@compas/store";
import { newEvent } from "@compas/stdlib";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createSessionStore } from "../../src/tokens/index.js";
import {
  type BothStores,
  openBothStores,
  type SharedStore,
  signingKey,
  travel,
} from "../support/both-stores.js";
import { compasTables } from "../support/compas-tables.js";
import type { Tokens } from "../support/tokens.js";

let stores: BothStores;

beforeAll(async () => {
  stores = await openBothStores();
});
afterAll(() => stores.close());
afterEach(async () => {
  await stores.database.pool.query(`drop table if exists "job"; ${compasTables.job}`);
  stores.leaked.length = 0;
  stores.errors.length = 0;
});

const names = ["compas", "bridge"] as const;
const everyPair = names.flatMap((rotates) => names.map((detects) => ({ rotates, detects })));

async function expectDead(...pairs: Tokens[]): Promise<void> {
  for (const { accessToken, refreshToken } of pairs) {
    for (const side of [stores.compas, stores.bridge]) {
      expect(await side.get(accessToken)).toBeUndefined();
      expect(await side.refreshTokens(refreshToken)).toBeUndefined();
    }
  }
}

/** Three pairs, each 60 seconds younger, the first two rotated by `side`; the last one is live. */
async function history(side: SharedStore) {
  const first = await stores.compas.create({ userId: "user-1" });
  const { id } = (await stores.compas.get(first.accessToken))!;
  travel(60);
  const second = (await side.refreshTokens(first.refreshToken))!;
  travel(60);
  const third = (await side.refreshTokens(second.refreshToken))!;
  travel(60);
  return { id, first, second, third };
}

describe.each(everyPair)("a token that $rotates rotated, back at $detects", (direction) => {
  test("ends the session for both, and is told to Compas's queue once", async () => {
    const { id, first, second, third } = await history(stores[direction.rotates]);
    expect(await stores[direction.detects].refreshTokens(first.refreshToken)).toBeUndefined();
    await expectDead(first, second, third);
    expect(stores.leaked).toEqual(direction.detects === "bridge" ? [id] : []);
    const jobs = await stores.jobs();
    expect(jobs.map(({ name }) => name)).toEqual(["compas.sessionStore.potentialLeakedSession"]);
    expect(jobs[0]?.data.report.session.id).toBe(id);
  });
});

describe("the report", () => {
  test("is what Compas reports, of the same history", async () => {
    const reports: unknown[] = [];
    for (const detects of [stores.compas, stores.bridge]) {
      const { id, first } = await history(stores.compas);
      // What Compas leaves to the clock of PostgreSQL.
      await stores.database.pool.query(
        `update "sessionStore" set "createdAt" = $2, "updatedAt" = $3 where "id" = $1`,
        [id, new Date("2020-01-01T00:00:00.123Z"), new Date("2020-01-02T00:00:00Z")],
      );
      const { rows } = await stores.database.pool.query(
        `select "id" from "sessionStoreToken" where "session" = $1 and "refreshToken" is not null
        order by "createdAt"`,
        [id],
      );
      const now = Date.now();
      await detects.refreshTokens(first.refreshToken);
      const { data } = (await stores.jobs()).at(-1)!;
      // Compas asks for no order.
      data.report.session.tokens.sort((one, other) => one.createdAt.localeCompare(other.createdAt));
      reports.push(relativeTo(now, [id, ...rows.map((row) => String(row.id))], data));
    }
    expect(reports[1]).toEqual(reports[0]);
    expect(reports[0]).toMatchObject({
      report: {
        session: {
          id: "id 0",
          createdAt: "2020-01-01T00:00:00.123Z",
          updatedAt: "2020-01-02T00:00:00.000Z",
          tokens: [{ id: "id 1", revokedAt: -120 }, { id: "id 2", revokedAt: -60 }, { id: "id 3" }],
        },
      },
    });
  });

  test("is a job like Compas's own, which its handler can read", async () => {
    for (const detects of [stores.compas, stores.bridge]) {
      const { first } = await history(stores.bridge);
      await detects.refreshTokens(first.refreshToken);
    }
    const { rows } = await stores.database.pool.query(
      `select "isComplete", "priority", "retryCount", "handlerTimeout", "scheduledAt" <= $1 as "isDue"
      from "job"`,
      [new Date()],
    );
    expect(rows).toHaveLength(2);
    expect(rows[1]).toEqual(rows[0]);
    const told: unknown[] = [];
    const event = newEvent({ info: (message) => told.push(message), error: () => undefined });
    for (const job of await stores.jobs()) {
      await jobSessionStoreProcessLeakedSession()(event, stores.compas.sql, job);
    }
    expect(told).toContainEqual(
      expect.objectContaining({ type: "sessionStore.leakedSession.report" }),
    );
  });

  test("is left out without Compas's table, and without compas", async () => {
    const { second } = await history(stores.bridge);
    const withoutCompas = createSessionStore({
      pool: stores.database.pool,
      signingKeys: [{ kid: "shared", alg: "HS256", key: signingKey }],
    });
    expect(await withoutCompas.refreshTokens(second.refreshToken)).toBeUndefined();
    expect(await stores.jobs()).toEqual([]);
    const { first } = await history(stores.bridge);
    await stores.database.pool.query(`drop table "job"`);
    expect(await stores.bridge.refreshTokens(first.refreshToken)).toBeUndefined();
    expect(stores.leaked).toHaveLength(1);
    expect(stores.errors).toEqual([]);
  });

  test("that fails is an error event, and no less a refusal", async () => {
    const { first, second, third } = await history(stores.bridge);
    await stores.database.pool.query(`alter table "job" drop column "priority"`);
    expect(await stores.bridge.refreshTokens(first.refreshToken)).toBeUndefined();
    expect(stores.leaked).toHaveLength(1);
    expect(stores.errors).toMatchObject([{ code: "schema-missing" }]);
    await expectDead(first, second, third);
  });
});

/** A job's data with its random ids numbered, and its times in seconds from `now`; old ones stay. */
function relativeTo(now: number, ids: string[], data: object): unknown {
  return JSON.parse(JSON.stringify(data), (_, value: unknown) => {
    if (typeof value !== "string") return value;
    if (ids.includes(value)) return `id ${ids.indexOf(value)}`;
    const time = Date.parse(value);
    expect(new Date(time).toISOString()).toBe(value);
    return value.startsWith("2020-") ? value : (time - now) / 1000;
  });
}

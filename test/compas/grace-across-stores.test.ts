import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BothStores, openBothStores, travel } from "../support/both-stores.js";

let stores: BothStores;

beforeAll(async () => {
  stores = await openBothStores();
});
afterAll(() => stores.close());

async function rowCount(accessToken: string): Promise<number> {
  const session = await stores.bridge.get(accessToken);
  const { rows } = await stores.database.pool.query(
    `select "id" from "sessionStoreToken" where "session" = $1`,
    [session?.id],
  );
  return rows.length;
}

describe("a token that the bridge rotated", () => {
  test("gets the same pair for 15 seconds, which Compas cannot lengthen", async () => {
    const { refreshToken } = await stores.bridge.create({});
    const successor = (await stores.bridge.refreshTokens(refreshToken))!;
    travel(10);
    const fork = (await stores.compas.refreshTokens(refreshToken))!;
    travel(4);
    expect(await stores.bridge.refreshTokens(refreshToken)).toEqual(successor);
    travel(2);
    expect(await stores.bridge.refreshTokens(refreshToken)).toBeUndefined();
    for (const { accessToken } of [successor, fork]) {
      expect(await stores.compas.get(accessToken)).toBeUndefined();
      expect(await stores.bridge.get(accessToken)).toBeUndefined();
    }
  });

  test("is no longer the predecessor once Compas has rotated its successor", async () => {
    const { refreshToken } = await stores.compas.create({});
    const successor = (await stores.bridge.refreshTokens(refreshToken))!;
    const latest = (await stores.compas.refreshTokens(successor.refreshToken))!;
    travel(5);
    expect(await stores.bridge.refreshTokens(refreshToken)).toBeUndefined();
    expect(await stores.compas.get(latest.accessToken)).toBeUndefined();
  });
});

test.each(["compas", "bridge"] as const)(
  "a token that %s rotated has no longer at Compas because it came to the bridge",
  async (rotates) => {
    const { refreshToken } = await stores.compas.create({});
    const { accessToken } = (await stores[rotates].refreshTokens(refreshToken))!;
    travel(10);
    await stores.bridge.refreshTokens(refreshToken);
    travel(6);
    expect(await stores.compas.refreshTokens(refreshToken)).toBeUndefined();
    expect(await stores.bridge.get(accessToken)).toBeUndefined();
  },
);

describe("a token that Compas rotated", () => {
  test("gets one pair from the bridge within 15 seconds, however often it comes", async () => {
    const first = await stores.compas.create({});
    const theirs = (await stores.compas.refreshTokens(first.refreshToken))!;
    travel(5);
    const ours = (await stores.bridge.refreshTokens(first.refreshToken))!;
    const rows = await rowCount(ours.accessToken);
    travel(5);
    expect(await stores.bridge.refreshTokens(first.refreshToken)).toEqual(ours);
    expect(await rowCount(ours.accessToken)).toBe(rows);
    for (const { accessToken } of [theirs, ours]) {
      expect(await stores.compas.get(accessToken)).toBeDefined();
      expect(await stores.bridge.get(accessToken)).toBeDefined();
    }
  });

  test("has them from Compas's rotation on, not from when the bridge first saw it", async () => {
    const { refreshToken } = await stores.compas.create({});
    await stores.compas.refreshTokens(refreshToken);
    travel(10);
    const ours = (await stores.bridge.refreshTokens(refreshToken))!;
    travel(2);
    // Moves "revokedAt".
    await stores.compas.refreshTokens(refreshToken);
    travel(2);
    expect(await stores.bridge.refreshTokens(refreshToken)).toEqual(ours);
    travel(2);
    expect(await stores.bridge.refreshTokens(refreshToken)).toBeUndefined();
    expect(await stores.compas.get(ours.accessToken)).toBeUndefined();
  });
});

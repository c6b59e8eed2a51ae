import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createDatabase, type Database } from "../../src/store/database.js";
import { type LiveLink, renewOffer } from "../../src/store/links.js";
import { importSigningKey } from "../../src/tokens/keys.js";
import { type BothStores, openBothStores, signingKey, travel } from "../support/both-stores.js";
import { codecOf } from "../support/token-codec.js";
import type { Tokens } from "../support/tokens.js";
import { newPair, type UpgradedCookie, upgradeCookie } from "../support/upgraded-cookie.js";

const day = 24 * 60 * 60;
const codec = codecOf({
  compas: true,
  keys: [importSigningKey({ kid: "shared", alg: "HS256", key: signingKey })],
});
let stores: BothStores;
let db: Database;
let cookie: UpgradedCookie;
let offered: Tokens;

beforeAll(async () => {
  stores = await openBothStores();
  db = createDatabase({
    pool: stores.database.pool,
    preparedStatements: false,
    clock: () => new Date(),
    generateId: () => crypto.randomUUID(),
  });
});
afterAll(() => stores.close());
beforeEach(async () => {
  cookie = await upgradeCookie(db, new Date(Date.now() + 200 * day * 1000));
  offered = await codec.signPair(cookie.sessionId, cookie.pair);
});

/** As the bridge does, once the access token on offer nears its end. */
async function renewed() {
  const { accessToken, refreshToken } = cookie.pair;
  const staleAt = Math.floor(Date.now() / 1000);
  return renewOffer(db, cookie.key, staleAt, { ...newPair(), accessToken, refreshToken });
}

test("the pair on offer is good for Compas, and stays on offer while it is only read", async () => {
  expect((await stores.compas.get(offered.accessToken))?.id).toBe(cookie.sessionId);
  expect(await cookie.link()).toMatchObject({ offer: cookie.pair, adoptedAt: null });
});

// By a session store without the bridge, too: neither knows of links.
describe.each(["compas", "bridge"] as const)(
  "the pair on offer, once %s has refreshed it,",
  (name) => {
    test("is adopted, and not offered again: that would be taken for theft", async () => {
      const rotatedAt = new Date();
      const next = (await stores[name].refreshTokens(offered.refreshToken))!;
      travel(60);
      const link = (await cookie.link()) as LiveLink;
      expect(link.sessionId).toBe(cookie.sessionId);
      expect(link.offer).toBeNull();
      expect(link.adoptedAt).toEqual(rotatedAt);
      expect(await stores.compas.get(next.accessToken)).toBeDefined();
    });

    test("does not come alive again when its rows have been cleaned up", async () => {
      await stores[name].refreshTokens(offered.refreshToken);
      travel(20 * day);
      await stores.compas.cleanupExpiredSessions(14);
      const pair = (await renewed())!;
      expect(pair.refreshToken).not.toBe(cookie.pair.refreshToken);
      expect(await cookie.link()).toMatchObject({ offer: pair });
      expect(await stores.compas.refreshTokens(offered.refreshToken)).toBeUndefined();
      expect(await stores.bridge.refreshTokens(offered.refreshToken)).toBeUndefined();
      const { refreshToken } = await codec.signPair(cookie.sessionId, pair);
      expect(await stores.compas.refreshTokens(refreshToken)).toBeDefined();
    });
  },
);

test("a renewed offer keeps its ids while it has its rows", async () => {
  travel(20 * 60);
  const { accessToken, refreshToken } = cookie.pair;
  expect(await renewed()).toMatchObject({ accessToken, refreshToken });
});

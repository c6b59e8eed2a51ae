import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createDatabase, type Database } from "../../src/store/database.js";
import { adoptSession, renewOffer, saveBookkeeping } from "../../src/store/links.js";
import { commitChanges } from "../../src/store/update-session.js";
import { type BothStores, openBothStores, travel } from "../support/both-stores.js";
import { newPair, type UpgradedCookie, upgradeCookie } from "../support/upgraded-cookie.js";

const day = 24 * 60 * 60;
const sides = ["compas", "bridge"] as const;
let stores: BothStores;
let db: Database;

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
  await stores.database.pool.query(`delete from "sessionBridgeLink"; delete from "sessionStore"`);
});

async function count(table: "sessionStore" | "sessionStoreToken"): Promise<number> {
  const { rows } = await stores.database.pool.query(`select "id" from "${table}"`);
  return rows.length;
}

describe.each(sides)("the clean-up of %s", (side) => {
  test("deletes what expired or ended on either side, and nothing that lives", async () => {
    for (const issuer of [stores.compas, stores.bridge]) {
      await issuer.create({ is: "left to expire" });
      const { accessToken } = await issuer.create({ is: "ended" });
      await stores[side].invalidate((await stores.bridge.get(accessToken))!);
    }
    travel(20 * day);
    const live = [await stores.compas.create({}), await stores.bridge.create({})];
    await stores[side].cleanupExpiredSessions(14);
    expect(await count("sessionStore")).toBe(4);
    travel(25 * day);
    await stores[side].cleanupExpiredSessions(14);
    expect(await count("sessionStore")).toBe(2);
    expect(await count("sessionStoreToken")).toBe(4);
    for (const { refreshToken } of live) {
      expect(await stores.compas.refreshTokens(refreshToken)).toBeDefined();
    }
  });

  test("leaves a rotated token for as long as its coming back must be noticed", async () => {
    const { refreshToken } = await stores.compas.create({});
    await stores.bridge.refreshTokens(refreshToken);
    travel(13 * day);
    await stores[side].cleanupExpiredSessions(14);
    expect(await stores.bridge.refreshTokens(refreshToken)).toBeUndefined();
    expect(await stores.jobs()).not.toEqual([]);
  });
});

test("the bridge's clean-up leaves a session that Compas is about to give its tokens", async () => {
  const { sql } = stores.compas;
  const [session] = await sql<{ id: string }[]>`
    insert into "sessionStore" ("checksum", "data", "createdAt", "updatedAt")
    values ('0', '{}', ${new Date()}, ${new Date()}) returning "id"`;
  travel(1);
  await stores.bridge.cleanupExpiredSessions(0);
  expect(await count("sessionStore")).toBe(1);
  travel(day);
  await stores.bridge.cleanupExpiredSessions(0);
  expect(session).toBeDefined();
  expect(await count("sessionStore")).toBe(0);
});

describe.each(sides)("a cookie whose tokens were never used, after the clean-up of %s", (side) => {
  const inDays = (days: number) => new Date(Date.now() + days * day * 1000);
  const change = ({ key }: UpgradedCookie, expiresAt: Date | null) => ({
    key,
    bookkeeping: {},
    memberOrder: [],
    expiresAt,
  });

  async function opens(cookie: UpgradedCookie): Promise<boolean> {
    await stores[side].cleanupExpiredSessions(14);
    return typeof (await cookie.link()) === "object";
  }

  test("still opens its session, until the cookie ends", async () => {
    const cookie = await upgradeCookie(db, inDays(90));
    travel(80 * day);
    expect(await opens(cookie)).toBe(true);
    travel(30 * day);
    expect(await opens(cookie)).toBe(false);
    expect(await count("sessionStore")).toBe(0);
  });

  test("without an expiry still opens its session for longer than browsers keep cookies", async () => {
    const cookie = await upgradeCookie(db, null);
    travel(400 * day);
    expect(await opens(cookie)).toBe(true);
  });

  test("opens it on when it was renewed, with a change or without", async () => {
    const cookie = await upgradeCookie(db, inDays(1));
    travel(0.5 * day);
    await commitChanges(db, cookie.sessionId, { set: {}, removed: [] }, change(cookie, inDays(90)));
    travel(80 * day);
    expect(await opens(cookie)).toBe(true);
    await saveBookkeeping(db, change(cookie, inDays(90)));
    travel(80 * day);
    expect(await opens(cookie)).toBe(true);
    await saveBookkeeping(db, change(cookie, null));
    travel(390 * day);
    expect(await opens(cookie)).toBe(true);
  });

  test("opens it on when only its offer was renewed, also one that was cleaned up", async () => {
    const cookie = await upgradeCookie(db, inDays(200));
    for (const isCleaned of [false, true]) {
      if (isCleaned) await stores.database.pool.query(`delete from "sessionStoreToken"`);
      const { accessToken, refreshToken } = cookie.pair;
      travel(20 * day);
      const staleAt = Math.floor(Date.now() / 1000);
      await renewOffer(db, cookie.key, staleAt, { ...newPair(), accessToken, refreshToken });
      travel(60 * day);
      expect(await opens(cookie)).toBe(true);
    }
  });

  test("writes the token's row once a day at most", async () => {
    const cookie = await upgradeCookie(db, inDays(40));
    const rowVersion = async () => {
      const { rows } = await stores.database.pool.query(
        `select xmin from "sessionStoreToken" where "refreshToken" is null`,
      );
      return String(rows[0].xmin);
    };
    const versions = new Set<string>();
    for (let hour = 0; hour < 24; hour += 4) {
      await commitChanges(
        db,
        cookie.sessionId,
        { set: {}, removed: [] },
        change(cookie, inDays(40)),
      );
      versions.add(await rowVersion());
      travel(4 * 60 * 60);
    }
    expect(versions.size).toBeLessThanOrEqual(2);
  });

  test("its session goes with its tokens once they are used", async () => {
    const cookie = await upgradeCookie(db, inDays(10));
    await adoptSession(db, cookie.sessionId);
    travel(60 * day);
    expect(await opens(cookie)).toBe(false);
  });
});

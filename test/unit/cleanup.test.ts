import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createSessionStore, type SessionStore } from "../../src/tokens/index.js";
import { TestClock } from "../support/clock.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { seedManySessions } from "../support/many-sessions.js";

const day = 24 * 60 * 60;
let database: TestDatabase;
let clock: TestClock;
let store: SessionStore;

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  await database.pool.query(`delete from "sessionBridgeLink"; delete from "sessionStore"`);
  clock = new TestClock();
  store = createSessionStore({
    pool: database.pool,
    clock: clock.now,
    signingKeys: [{ kid: "a", alg: "HS256", key: "a".repeat(32) }],
    refreshTokenMaxAgeInSeconds: 10 * day,
  });
});

async function counts() {
  const { rows } = await database.pool.query(
    `select (select count(*)::int from "sessionStore") as "sessions",
      (select count(*)::int from "sessionStoreToken") as "tokens",
      (select count(*)::int from "sessionBridgeLink") as "links"`,
  );
  return rows[0] as { sessions: number; tokens: number; links: number };
}

test("what is alive stays", async () => {
  const { accessToken } = await store.create({ a: 1 });
  const cleaned = await store.cleanupExpiredSessions({ maxRevokedAgeInDays: 0 });
  expect(cleaned).toEqual({ refreshTokens: 0, sessions: 0, links: 0 });
  expect((await store.get(accessToken))?.data).toEqual({ a: 1 });
});

test("what expired or was revoked stays for 14 days, or as long as is asked for", async () => {
  await store.create({ is: "left to expire" });
  const revoked = await store.create({ is: "revoked" });
  await store.invalidate({ id: revoked.sessionId });
  clock.advance(14 * day - 1);
  expect(await store.cleanupExpiredSessions()).toEqual({ refreshTokens: 0, sessions: 0, links: 0 });
  clock.advance(2);
  expect(await store.cleanupExpiredSessions()).toEqual({ refreshTokens: 1, sessions: 1, links: 0 });
  expect(await counts()).toEqual({ sessions: 1, tokens: 2, links: 0 });
  expect(await store.cleanupExpiredSessions({ maxRevokedAgeInDays: 1 })).toEqual({
    refreshTokens: 1,
    sessions: 1,
    links: 0,
  });
  expect(await counts()).toEqual({ sessions: 0, tokens: 0, links: 0 });
});

test("the tokens of a rotated pair go, the session and its live pair stay", async () => {
  const first = await store.create({ a: 1 });
  clock.advance(5 * day);
  const second = (await store.refreshTokens(first.refreshToken))!;
  clock.advance(6 * day);
  const cleaned = await store.cleanupExpiredSessions({ maxRevokedAgeInDays: 0.5 });
  expect(cleaned).toEqual({ refreshTokens: 1, sessions: 0, links: 0 });
  expect(await counts()).toEqual({ sessions: 1, tokens: 2, links: 0 });
  expect(await store.refreshTokens(second.refreshToken)).toBeDefined();
});

test("in batches, a statement for each block, to the last row", async () => {
  const { pool, statements } = database;
  await seedManySessions(pool, { live: 500, expired: 1500, linkedEvery: 0 });
  const { rows } = await pool.query<{ blocks: number }>(
    `select sum(pg_relation_size(t) / current_setting('block_size')::int)::int as "blocks"
    from unnest(array['"sessionStore"', '"sessionStoreToken"']::regclass[]) t`,
  );
  statements.reset();
  const cleaned = await store.cleanupExpiredSessions({ batchSize: 10 });
  expect(cleaned).toEqual({ refreshTokens: 1500, sessions: 1500, links: 0 });
  expect(database.queries).toHaveLength(rows[0]!.blocks + 1);
  expect(await counts()).toEqual({ sessions: 500, tokens: 1000, links: 0 });

  statements.reset();
  await store.cleanupExpiredSessions({ batchSize: 1_000_000 });
  expect(database.queries).toHaveLength(3);
});

describe("a session that was upgraded", () => {
  async function upgraded(link: { adoptedAt?: Date; expiresAt?: Date }): Promise<string> {
    const { sessionId } = await store.create({ a: 1 });
    await database.pool.query(
      `insert into "sessionBridgeLink" ("key", "source", "session", "adoptedAt", "expiresAt")
      values ($1, 'a source', $2, $3, $4)`,
      [Buffer.from(sessionId), sessionId, link.adoptedAt ?? null, link.expiresAt ?? null],
    );
    return sessionId;
  }

  test("stays while a cookie that was never exchanged still opens it", async () => {
    const id = await upgraded({ expiresAt: new Date(clock.now().getTime() + 60 * day * 1000) });
    clock.advance(30 * day);
    expect(await store.cleanupExpiredSessions()).toMatchObject({ sessions: 0 });
    expect(await counts()).toEqual({ sessions: 1, tokens: 0, links: 1 });
    clock.advance(31 * day);
    expect(await store.cleanupExpiredSessions()).toMatchObject({ sessions: 1 });
    expect(id).toBeDefined();
  });

  test("goes once its client uses tokens, which have expired", async () => {
    await upgraded({ adoptedAt: clock.now() });
    clock.advance(30 * day);
    expect(await store.cleanupExpiredSessions()).toMatchObject({ sessions: 1 });
  });

  test("leaves a tombstone until the cookie has expired", async () => {
    const id = await upgraded({ expiresAt: new Date(clock.now().getTime() + 60 * day * 1000) });
    await store.invalidate({ id });
    clock.advance(20 * day);
    expect(await store.cleanupExpiredSessions()).toMatchObject({ sessions: 1, links: 0 });
    expect(await counts()).toEqual({ sessions: 0, tokens: 0, links: 1 });
    clock.advance(55 * day);
    expect(await store.cleanupExpiredSessions()).toMatchObject({ links: 1 });
  });
});

test("nonsense is misuse", async () => {
  for (const options of [{ batchSize: 0 }, { batchSize: 1.5 }, { maxRevokedAgeInDays: -1 }]) {
    await expect(store.cleanupExpiredSessions(options)).rejects.toThrow(TypeError);
  }
  const notANumber = { maxRevokedAgeInDays: Number.NaN };
  await expect(store.cleanupExpiredSessions(notANumber)).rejects.toThrow(TypeError);
});

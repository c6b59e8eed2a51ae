import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createSessionStore, type SessionStore, type TokenPair } from "../../src/tokens/index.js";
import { signingKeys } from "../support/app.js";
import { type CachedStore, openCachedStore } from "../support/cached.js";
import { cli } from "../support/cli.js";
import { type CompasStore, openCompasStore } from "../support/compas-store.js";
import { type TestDatabase, testDatabase } from "../support/database.js";

// Entries live for ten minutes: what is seen sooner has been told.
let database: TestDatabase;
let cached: CachedStore;
let others: SessionStore;
let compas: CompasStore;
let pair: TokenPair;

beforeAll(async () => {
  database = await testDatabase();
  cached = await openCachedStore(database, { compas: true });
  others = createSessionStore({ pool: database.pool, signingKeys, compas: true });
  compas = await openCompasStore(database.url, {
    accessTokenMaxAgeInSeconds: 900,
    refreshTokenMaxAgeInSeconds: 86_400,
    signingKey: signingKeys[0]!.key as string,
  });
});
afterAll(async () => {
  await compas.close();
  await cached.close();
  await database.drop();
});
beforeEach(async () => {
  pair = await others.create({ userId: "user-1" });
  await cached.caches(pair.accessToken);
});

const sql = (text: string, ...values: unknown[]) => database.pool.query(text, values);
const seen = async () => (await cached.get(pair.accessToken))?.data;
const isSeen = (data: object) => expect.poll(seen, { interval: 5, timeout: 2000 }).toEqual(data);
const isRefused = () => expect.poll(seen, { interval: 5, timeout: 2000 }).toBeUndefined();

test("another store's commit, and what it replaces", async () => {
  const session = (await others.get(pair.accessToken))!;
  session.data["count"] = 1;
  const { id, checksum } = await others.update(session);
  await isSeen({ userId: "user-1", count: 1 });
  await others.update({ id, checksum, data: {} });
  await isSeen({});
});

test("a logout elsewhere", async () => {
  await others.invalidate({ id: pair.sessionId });
  await isRefused();
});

test("the reuse of a refresh token elsewhere", async () => {
  const { refreshToken } = (await others.refreshTokens(pair.refreshToken))!;
  expect(await seen()).toBeDefined();
  await others.refreshTokens(refreshToken);
  expect(await others.refreshTokens(pair.refreshToken)).toBeUndefined();
  await isRefused();
});

test("@compas/store updates and invalidates", async () => {
  const session = (await compas.get(pair.accessToken))!;
  session.data["count"] = 2;
  await compas.update(session);
  await isSeen({ userId: "user-1", count: 2 });
  await compas.invalidate({ id: pair.sessionId });
  await isRefused();
});

test("the command line ends every session of a user", async () => {
  const run = await cli(["sessions", "revoke", "--where", "userId=user-1", "--yes"], {
    DATABASE_URL: database.url,
  });
  expect(run.code).toBe(0);
  await isRefused();
});

test("a clean-up deletes tokens", async () => {
  await sql(
    `update "sessionStoreToken" set "expiresAt" = now() - interval '30 days'
    where "session" = $1 and "refreshToken" is null`,
    pair.sessionId,
  );
  expect(await seen()).toBeDefined();
  expect((await others.cleanupExpiredSessions()).refreshTokens).toBe(1);
  await isRefused();
});

test.each([
  [`update "sessionStore" set "revokedAt" = now() where "id" = $1`],
  [`delete from "sessionStore" where "id" = $1`],
  [`update "sessionStoreToken" set "revokedAt" = now() where "session" = $1`],
  [`delete from "sessionStoreToken" where "session" = $1 and "refreshToken" is not null`],
  [`delete from "sessionStoreToken" where "session" = $1 and "refreshToken" is null`],
  [`update "sessionStoreToken" set "expiresAt" = now() where "session" = $1`],
])("by hand: %s", async (text) => {
  await sql(text, pair.sessionId);
  await isRefused();
});

test.each([[`truncate "sessionStoreToken"`], [`truncate "sessionStore" cascade`]])(
  "by hand: %s",
  async (text) => {
    await sql(text);
    await isRefused();
  },
);

test("by hand: data, and a lifetime", async () => {
  await sql(`update "sessionStore" set "data" = '{"by": "hand"}' where "id" = $1`, pair.sessionId);
  await isSeen({ by: "hand" });
});

test("a transaction is told of when it commits", async () => {
  const client = await database.pool.connect();
  await client.query("begin");
  await client.query(`update "sessionStore" set "revokedAt" = now() where "id" = $1`, [
    pair.sessionId,
  ]);
  expect(await seen()).toBeDefined();
  expect(await cached.statementsOfGet(pair.accessToken)).toBe(0);
  await client.query("commit");
  client.release();
  await isRefused();
});

test("a refresh changes nothing that is cached, and tells nothing", async () => {
  await others.refreshTokens(pair.refreshToken);
  const marker = await others.create({});
  await cached.caches(marker.accessToken);
  await others.invalidate({ id: marker.sessionId });
  await expect.poll(() => cached.get(marker.accessToken), { interval: 5 }).toBeUndefined();
  // Changes are told of in the order of their commits.
  expect(await cached.statementsOfGet(pair.accessToken)).toBe(0);
});

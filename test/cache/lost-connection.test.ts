import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { TokenPair } from "../../src/tokens/index.js";
import { type CachedStore, openCachedStore } from "../support/cached.js";
import { databaseOfItsOwnServer, type TestDatabase, testDatabase } from "../support/database.js";
import { startTcpProxy } from "../support/tcp-proxy.js";

// Entries live for ten minutes: nothing but the loss of the connection ends them here.
let database: TestDatabase;
let store: CachedStore;
let pair: TokenPair;

beforeEach(async () => {
  database = await testDatabase();
});
afterEach(() => database.drop());

async function open(options: Parameters<typeof openCachedStore>[1] = {}): Promise<void> {
  store = await openCachedStore(database, options);
  pair = await store.create({ count: 0 });
}
const revoke = () =>
  database.pool.query(`update "sessionStore" set "revokedAt" = now() where "id" = $1`, [
    pair.sessionId,
  ]);
const isRefused = async () => (await store.get(pair.accessToken)) === undefined;

/** Waits for the first refusal, after which there must be nothing else. */
async function staysRefused(): Promise<void> {
  await expect.poll(isRefused, { interval: 5, timeout: 2000 }).toBe(true);
  const until = Date.now() + 2000;
  while (Date.now() < until) expect(await isRefused()).toBe(true);
}

const listeners = async () => {
  const { rows } = await database.pool.query<{ pid: number }>(
    `select pid from pg_stat_activity
    where datname = current_database() and query like '%sessionBridgeCache%' and pid <> pg_backend_pid()`,
  );
  return rows.map(({ pid }) => pid);
};

test("a connection that is ended: strict at once, and cached anew by another one", async () => {
  await open();
  for (let count = 1; count <= 3; count += 1) {
    await store.caches(pair.accessToken);
    const [pid] = await listeners();
    await database.pool.query("select pg_terminate_backend($1)", [pid]);
    await expect
      .poll(() => store.statementsOfGet(pair.accessToken), { interval: 5, timeout: 500 })
      .toBe(1);
    // Nobody tells of this change.
    await database.pool.query(
      `update "sessionStore" set "data" = jsonb_build_object('count', $2::int) where "id" = $1`,
      [pair.sessionId, count],
    );
    expect((await store.get(pair.accessToken))?.data).toEqual({ count });
    await store.caches(pair.accessToken);
    expect((await store.get(pair.accessToken))?.data).toEqual({ count });
  }
  await store.caches(pair.accessToken);
  const [pid] = await listeners();
  await Promise.all([database.pool.query("select pg_terminate_backend($1)", [pid]), revoke()]);
  await staysRefused();
  await store.close();
});

test("a connection on which nothing passes any more: strict within a second, for good", async () => {
  const proxy = await startTcpProxy(database.directUrl);
  await open({ directUrl: proxy.url });
  await store.caches(pair.accessToken);
  const other = await store.create({});
  await store.caches(other.accessToken);
  proxy.hang();
  await revoke();
  expect(await store.statementsOfGet(pair.accessToken)).toBe(0);
  await staysRefused();
  expect(await store.statementsOfGet(other.accessToken)).toBe(1);
  // It gives the connection up and makes a new one, which passes.
  await store.caches(other.accessToken);
  expect(await isRefused()).toBe(true);
  await store.close();
  await proxy.close();
}, 20_000);

test("it can be closed while nothing passes, and while it connects", async () => {
  const proxy = await startTcpProxy(database.directUrl);
  await open({ directUrl: proxy.url });
  await store.caches(pair.accessToken);
  proxy.hang();
  await store.close();
  await proxy.close();
  await open();
  await store.get(pair.accessToken);
  await store.close();
  expect(await store.statementsOfGet(pair.accessToken)).toBe(1);
});

test("a database that restarts", async () => {
  const own = await databaseOfItsOwnServer();
  const shared = database;
  database = own;
  try {
    await open();
    await store.caches(pair.accessToken);
    await own.server.stop();
    // What cannot be known to be live is not said to be.
    await expect(store.get(pair.accessToken)).rejects.toMatchObject({ code: "store-unavailable" });
    await own.server.start();
    expect((await store.get(pair.accessToken))?.data).toEqual({ count: 0 });
    await store.caches(pair.accessToken);
    await own.server.kill();
    await own.server.start();
    await revoke();
    await staysRefused();
    await store.close();
  } finally {
    await own.drop();
    database = shared;
  }
}, 30_000);

test("without the triggers nothing is cached, and it is told how to make them", async () => {
  await open();
  await store.caches(pair.accessToken);
  await database.pool.query(`drop trigger "sessionBridgeCache1" on "sessionStore"`);
  await expect
    .poll(() => store.statementsOfGet(pair.accessToken), { interval: 5, timeout: 2000 })
    .toBe(1);
  await revoke();
  await staysRefused();
  expect(store.errors.map(String)).toEqual([expect.stringContaining("migrate --cache")]);
  await store.close();
});

test("a directPool that goes elsewhere caches nothing, and it is told", async () => {
  const elsewhere = await testDatabase();
  await openCachedStore(elsewhere).then((other) => other.close());
  await open({ directUrl: elsewhere.directUrl });
  await expect
    .poll(async () => {
      expect(await store.statementsOfGet(pair.accessToken)).toBe(1);
      return store.errors.map(String);
    })
    .toEqual([expect.stringContaining("different servers, databases or schemas")]);
  expect(await store.statementsOfGet(pair.accessToken)).toBe(1);
  await store.close();
  await elsewhere.drop();
});

test("a directPool that cannot connect is told of once, and requests go on", async () => {
  await open({ directUrl: `${database.directUrl}_gone` });
  for (let request = 0; request < 50; request += 1) {
    expect(await store.statementsOfGet(pair.accessToken)).toBe(1);
  }
  await expect.poll(() => store.errors).toHaveLength(1);
  expect(store.errors[0]).toBeInstanceOf(pg.DatabaseError);
  await store.close();
});

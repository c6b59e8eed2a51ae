import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { TokenPair } from "../../src/tokens/index.js";
import { type CachedStore, openCachedStore } from "../support/cached.js";
import { TestClock } from "../support/clock.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { startTcpProxy } from "../support/tcp-proxy.js";

let database: TestDatabase;
let store: CachedStore;

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.drop());
afterEach(() => store.close());

const opened = async (options: Parameters<typeof openCachedStore>[1] = {}) => {
  store = await openCachedStore(database, options);
  const pair = await store.create({ userId: "user-1" });
  await store.caches(pair.accessToken);
  return pair;
};
const dataOf = async ({ accessToken }: TokenPair) => (await store.get(accessToken))?.data;

test("a session that has been read is answered without a statement, to each a copy of its own", async () => {
  const pair = await opened();
  const one = await store.get(pair.accessToken);
  one!.data["userId"] = "somebody else";
  expect(await dataOf(pair)).toEqual({ userId: "user-1" });
  expect(await store.statementsOfGet(pair.accessToken)).toBe(0);
  expect(store.errors).toEqual([]);
});

test("what this process changes it sees at once", async () => {
  const pair = await opened();
  for (let count = 1; count <= 20; count += 1) {
    const session = await store.get(pair.accessToken);
    session!.data["count"] = count;
    await store.update(session!);
    expect(await dataOf(pair)).toEqual({ userId: "user-1", count });
    await dataOf(pair);
    const { id, checksum } = session!;
    const replaced = { id, checksum: (await store.get(pair.accessToken))!.checksum };
    expect(replaced.checksum).not.toBe(checksum);
    await store.update({ ...replaced, data: { userId: "user-1", count: -count } });
    expect(await dataOf(pair)).toEqual({ userId: "user-1", count: -count });
  }
});

test("who is logged out by this process is refused at once", async () => {
  for (let round = 0; round < 20; round += 1) {
    const pair = round === 0 ? await opened() : await store.create({ userId: "user-1" });
    expect(await dataOf(pair)).toBeDefined();
    await store.invalidate({ id: pair.sessionId });
    expect(await dataOf(pair)).toBeUndefined();
  }
});

test("a reused refresh token ends the cached session at once", async () => {
  const clock = new TestClock();
  const pair = await opened({ clock: clock.now });
  await store.refreshTokens(pair.refreshToken);
  clock.advance(60);
  expect(await dataOf(pair)).toBeDefined();
  expect(await store.refreshTokens(pair.refreshToken)).toBeUndefined();
  expect(await dataOf(pair)).toBeUndefined();
});

test("what this process changes or ends it need not be told of", async () => {
  const proxy = await startTcpProxy(database.directUrl);
  const clock = new TestClock();
  await opened({ directUrl: proxy.url, clock: clock.now });
  const create = () => store.create({ userId: "user-1" });
  const [changed, ended, leaked] = [await create(), await create(), await create()];
  await store.refreshTokens(leaked.refreshToken);
  clock.advance(60);
  for (const { accessToken } of [changed, ended, leaked]) await store.caches(accessToken);
  // For less than a second it goes on with what it has.
  proxy.hang();
  expect(await store.statementsOfGet(leaked.accessToken)).toBe(0);
  await store.refreshTokens(leaked.refreshToken);
  expect(await dataOf(leaked)).toBeUndefined();
  await store.invalidate({ id: ended.sessionId });
  expect(await dataOf(ended)).toBeUndefined();
  const session = (await store.get(changed.accessToken))!;
  await store.update({ ...session, data: {} });
  expect(await dataOf(changed)).toEqual({});
  await store.close();
  await proxy.close();
});

test("what is not found is looked for each time", async () => {
  const pair = await opened();
  const other = await store.create({ userId: "user-2" });
  await store.invalidate({ id: other.sessionId });
  expect(await store.statementsOfGet(other.accessToken)).toBe(1);
  expect(await store.statementsOfGet(other.accessToken)).toBe(1);
  expect(await store.statementsOfGet(pair.accessToken)).toBe(0);
});

test("no longer than maxAgeInSeconds, and not when the clock is set back", async () => {
  const clock = new TestClock();
  const pair = await opened({ clock: clock.now, cache: { maxAgeInSeconds: 10 } });
  const statements = () => store.statementsOfGet(pair.accessToken);
  clock.advance(9.9);
  expect(await statements()).toBe(0);
  clock.advance(0.1);
  expect(await statements()).toBe(1);
  expect(await statements()).toBe(0);
  clock.advance(-1);
  expect(await statements()).toBe(1);
});

test("not past the end of the access token, as its row has it", async () => {
  const clock = new TestClock();
  store = await openCachedStore(database, { clock: clock.now });
  const pair = await store.create({ userId: "user-1" });
  await database.pool.query(
    `update "sessionStoreToken" set "expiresAt" = $2 where "session" = $1 and "refreshToken" is not null`,
    [pair.sessionId, new Date(clock.now().getTime() + 60_000)],
  );
  await store.caches(pair.accessToken);
  clock.advance(59.9);
  expect(await store.statementsOfGet(pair.accessToken)).toBe(0);
  clock.advance(0.1);
  expect(await store.get(pair.accessToken)).toBeUndefined();
});

test("at most maxEntries sessions", async () => {
  const first = await opened({ cache: { maxEntries: 4, maxAgeInSeconds: 600 } });
  const pairs = [first];
  for (let n = 0; n < 9; n += 1) pairs.push(await store.create({ n }));
  const pass = async () => {
    let statements = 0;
    for (const { accessToken } of pairs) statements += await store.statementsOfGet(accessToken);
    return statements;
  };
  await pass();
  expect(await pass()).toBe(10);
  // Those read last are among them.
  expect(await store.statementsOfGet(pairs[9]!.accessToken)).toBe(0);
  expect(await store.statementsOfGet(pairs[8]!.accessToken)).toBe(0);
});

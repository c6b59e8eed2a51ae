import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { migrate } from "../../src/tokens/index.js";
import { bearer, type Handler, type RunningApp, startBridgedApp } from "../support/app.js";
import { readsIn } from "../support/cached.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { type Held, held } from "../support/held.js";
import { PgLegacyStore } from "../support/pg-legacy-store.js";
import { login, type Tokens, whoami } from "../support/tokens.js";

let database: TestDatabase;
let directPool: pg.Pool;
let app: RunningApp;
/** Puts a thing into the cart and waits. */
let hesitant: Held;
/** On the same database, as another process would be. */
let other: RunningApp;

beforeAll(async () => {
  database = await testDatabase();
  await migrate(database.pool, { cache: true });
  await new PgLegacyStore(database.pool).createTable();
});
afterAll(() => database.drop());
beforeEach(async () => {
  directPool = new pg.Pool({ connectionString: database.directUrl, max: 2 });
  const config = { store: new PgLegacyStore(database.pool) };
  const cache = { maxAgeInSeconds: 600 };
  hesitant = held();
  const handlers: Record<string, Handler> = {
    "/fill": (ctx) => {
      ctx.session.cart = { things: [{ name: "one" }] };
    },
    "/put": (ctx) => ctx.session.cart.things.push({ name: "another" }),
    "/rename": (ctx) => {
      ctx.session.cart.things[0].name = "renamed";
    },
    "/hesitate": (ctx) => {
      ctx.session.cart.things[0].name = "not yet";
      return hesitant.handler(ctx);
    },
  };
  app = await startBridgedApp(database.pool, { config, directPool, cache, handlers });
  other = await startBridgedApp(database.pool, { config });
});
afterEach(async () => {
  await app.close();
  await other.close();
  await directPool.end();
});

async function cached(pair: Tokens): Promise<void> {
  const statements = async () => {
    database.statements.reset();
    expect((await whoami(app.url, pair)).status).toBe(200);
    return database.queries.length;
  };
  await expect.poll(statements, { timeout: 8000, interval: 20 }).toBe(0);
}

test("a request by a token sends no statement, and the first one has adopted the session", async () => {
  const { pair } = await login(app);
  await cached(pair);
  await cached(pair);
  expect(app.counts().adopted).toBe(1);
  const { rows } = await database.pool.query(
    `select 1 from "sessionBridgeLink" where "adoptedAt" is not null and "offer" is null`,
  );
  expect(rows).toHaveLength(1);
});

test("adopted elsewhere: not once more here", async () => {
  const { pair } = await login(app);
  await whoami(other.url, pair);
  await cached(pair);
  expect(app.counts().adopted).toBe(0);
  expect(other.counts().adopted).toBe(1);
});

test("what the cookie changes or ends, the token sees at once", async () => {
  const { browser, pair } = await login(app);
  for (let count = 1; count <= 10; count += 1) {
    await cached(pair);
    await browser.get("/count");
    expect((await whoami(app.url, pair)).body.session).toEqual({ userId: "user-1", count });
  }
  await cached(pair);
  await browser.get("/logout");
  expect((await whoami(app.url, pair)).status).toBe(401);
});

test("what the token changes or ends, it sees at once", async () => {
  const { pair } = await login(app);
  const token = app.browser();
  for (let count = 1; count <= 10; count += 1) {
    await cached(pair);
    const { body } = await token.get("/count", bearer(pair.accessToken));
    expect(body.session.count).toBe(count);
    expect((await whoami(app.url, pair)).body.session.count).toBe(count);
  }
  await token.get("/logout", bearer(pair.accessToken));
  expect((await whoami(app.url, pair)).status).toBe(401);
});

test("a logout elsewhere is seen, by cookie as by token", async () => {
  for (const by of ["cookie", "token"]) {
    const { browser, pair } = await login(app, by);
    await cached(pair);
    if (by === "cookie") await browser.clone({ baseUrl: other.url }).get("/logout");
    else await other.browser().get("/logout", bearer(pair.accessToken));
    const status = async () => (await whoami(app.url, pair)).status;
    await expect.poll(status, { interval: 5, timeout: 2000 }).toBe(401);
    const before = readsIn(database);
    expect(await status()).toBe(401);
    expect(readsIn(database)).toBe(before + 1);
  }
});

test("what is kept beside the data, and is cached with it, is told of", async () => {
  const { pair } = await login(app);
  await cached(pair);
  const before = readsIn(database);
  await database.pool.query(`update "sessionBridgeLink" set "bookkeeping" = '{"_expire": 1}'`);
  const reads = async () => {
    await whoami(app.url, pair);
    return readsIn(database) - before;
  };
  await expect.poll(reads, { interval: 5, timeout: 2000 }).toBe(1);
});

test("changes of one session through two processes: no member is lost", async () => {
  const { pair } = await login(app);
  await cached(pair);
  const set = (at: RunningApp, member: string) =>
    at.browser().get(`/set?${member}=1`, bearer(pair.accessToken));
  await Promise.all(
    Array.from({ length: 20 }, (_, n) => set(n % 2 === 0 ? app : other, `member${n}`)),
  );
  const { body } = await whoami(other.url, pair);
  expect(Object.keys(body.session)).toHaveLength(21);
});

test("what is deep in a cached session is each request's own, and its change is noticed", async () => {
  const { pair } = await login(app);
  const get = (path: string) => app.browser().get(path, bearer(pair.accessToken));
  const cart = async () => (await whoami(app.url, pair)).body.session.cart.things;
  await get("/fill");
  await cached(pair);
  const slow = get("/hesitate");
  await hesitant.inside;
  expect(await cart()).toEqual([{ name: "one" }]);
  hesitant.goOn();
  await slow;
  expect(await cart()).toEqual([{ name: "not yet" }]);
  await cached(pair);
  await get("/put");
  await cached(pair);
  await get("/rename");
  const things = [{ name: "renamed" }, { name: "another" }];
  expect(await cart()).toEqual(things);
  expect((await whoami(other.url, pair)).body.session.cart).toEqual({ things });
});

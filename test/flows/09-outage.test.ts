import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Mode } from "../../src/index.js";
import {
  bearer,
  type Handler,
  MapStore,
  type RunningApp,
  startBridgedApp,
  startPlainApp,
  tokensOf,
} from "../support/app.js";
import { type Browser, type BrowserResponse } from "../support/client.js";
import { TestClock } from "../support/clock.js";
import { databaseOfItsOwnServer } from "../support/database.js";
import { type LegacyKind, legacyKinds } from "../support/flow.js";
import { PgLegacyStore } from "../support/pg-legacy-store.js";
import { startStream } from "../support/stream.js";
import { login, refresh, type Tokens, whoami } from "../support/tokens.js";

type Database = Awaited<ReturnType<typeof databaseOfItsOwnServer>>;
let database: Database;
let closing: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  database = await databaseOfItsOwnServer();
});
afterAll(() => database.drop());
afterEach(async () => {
  await bringBack(database);
  for (const close of closing.reverse()) await close();
  closing = [];
});

/** Through PgBouncer it takes a moment after PostgreSQL is up. */
async function bringBack({ server, pool }: Database): Promise<void> {
  await server.start();
  const isBack = () =>
    pool.query("select 1").then(
      () => true,
      () => false,
    );
  while (!(await isBack()));
}

const configOf = (kind: LegacyKind) => (kind === "store" ? { store: new MapStore() } : {});

/** On a pool as an application makes it, which nobody but the bridge listens to. */
async function start(options: Parameters<typeof startBridgedApp>[1] = {}): Promise<RunningApp> {
  const pool = new pg.Pool({ connectionString: database.url, max: 5 });
  const app = await startBridgedApp(pool, options);
  closing.push(async () => {
    await app.close();
    await pool.end();
  });
  return app;
}

/** A browser whose cookie the application without the bridge has given. */
async function oldBrowser(app: RunningApp, config: object, user: string): Promise<Browser> {
  const plain = await startPlainApp(config);
  const browser = plain.browser();
  await browser.get(`/login?user=${user}`);
  await plain.close();
  return browser.clone({ baseUrl: app.url });
}

function expectUnavailable(response: BrowserResponse, code = "store-unavailable"): void {
  expect(response.status).toBe(503);
  expect(response.headers["retry-after"]).toMatch(/^\d+$/);
  expect(response.headers["content-type"]).toBe("application/problem+json");
  expect(response.body.code).toBe(code);
  expect(response.setCookie).toEqual([]);
}

const clears = (response: BrowserResponse) =>
  response.setCookie.some((line) => /expires=Thu, 01 Jan 1970/i.test(line));

describe.each(legacyKinds)("PostgreSQL away and back under requests, session in a %s", (kind) => {
  test("503 with Retry-After while it is away, and everyone is still logged in", async () => {
    const config = configOf(kind);
    const app = await start({ config });
    const upgraded = await login(app, "upgraded");
    const byToken = await login(app, "by-token");
    const clients: Record<string, () => Promise<BrowserResponse>> = {};
    for (const user of ["old-1", "old-2", "old-3"]) {
      const browser = await oldBrowser(app, config, user);
      clients[user] = () => browser.get("/whoami");
    }
    clients["upgraded"] = () => upgraded.browser.get("/count");
    clients["by-token"] = () => app.browser().get("/count", bearer(byToken.pair.accessToken));
    const streams = Object.entries(clients).map(([user, request]) => ({
      user,
      ...startStream(request),
    }));

    await Promise.all(streams.map((stream) => stream.more(3)));
    for (let outage = 0; outage < 2; outage += 1) {
      await database.server.stop();
      for (const answers of await Promise.all(streams.map((stream) => stream.more(2)))) {
        answers.forEach((answer) => expectUnavailable(answer));
      }
      await database.server.start();
      await Promise.all(streams.map((stream) => stream.until(({ status }) => status === 200)));
    }
    await Promise.all(streams.map((stream) => stream.stop()));

    for (const { user, answers } of streams) {
      for (const answer of answers) {
        expect([200, 503]).toContain(answer.status);
        expect(clears(answer)).toBe(false);
        if (answer.status === 200) expect(answer.body.session.userId).toBe(user);
      }
      expect(answers.at(-1)?.status).toBe(200);
    }
    // What was answered with 200 was stored.
    for (const { answers } of streams.slice(-2)) {
      const counts = answers.flatMap(({ body }) => (body.session as { count: number }) ?? []);
      for (const [index, { count }] of counts.entries()) {
        expect(count).toBeGreaterThan(counts[index - 1]?.count ?? 0);
      }
    }
  });

  test("in observe the cookie path goes on as before", async () => {
    const config = configOf(kind);
    let mode: Mode = "bridge";
    const clock = new TestClock();
    const app = await start({ config, clock: clock.now, mode: () => mode });
    const upgraded = await login(app, "upgraded");
    mode = "observe";
    const old = await oldBrowser(app, config, "old");
    await database.server.stop();
    const [first, second] = [await upgraded.browser.get("/whoami"), await old.get("/count")];
    expect(first.status).toBe(200);
    expect(first.body.session).toEqual({ userId: "upgraded" });
    expect(second.body.session).toEqual({ userId: "old", count: 1 });
    const fresh = app.browser();
    await fresh.get("/login?user=fresh");
    expect((await fresh.get("/whoami")).body.session).toEqual({ userId: "fresh" });
    expectUnavailable(await whoami(app.url, upgraded.pair));
    expect(app.bridgeErrors.length).toBeGreaterThan(0);

    await bringBack(database);
    mode = "bridge";
    expect((await upgraded.browser.get("/whoami")).body.session).toEqual({ userId: "upgraded" });
    // A data cookie first gets an id, which has to come back.
    await old.get("/whoami");
    clock.advance(5);
    const again = await old.get("/whoami");
    expect(again.body.session).toEqual({ userId: "old", count: 1 });
    expect((await whoami(app.url, tokensOf(again) as Tokens)).body.session.userId).toBe("old");
  });

  test("a stranger is served and can log in, by cookie", async () => {
    const app = await start({ config: configOf(kind) });
    await database.server.stop();
    const browser = app.browser();
    expect((await browser.get("/whoami")).status).toBe(200);
    const response = await browser.get("/login?user=newcomer");
    expect(response.status).toBe(200);
    expect(tokensOf(response).accessToken).toBeUndefined();
    await bringBack(database);
    expect((await browser.get("/whoami")).body.session).toEqual({ userId: "newcomer" });
  });
});

describe("PostgreSQL goes away while a handler runs", () => {
  const stopping: Record<string, Handler> = {
    "/stop-and-logout": async (ctx) => {
      await database.server.stop();
      ctx.session = null;
    },
    "/stop-and-change": async (ctx) => {
      await database.server.stop();
      ctx.session.changed = true;
      ctx.cookies.set("of-the-handler", "1");
    },
    "/stop-and-throw": async (ctx) => {
      await database.server.stop();
      ctx.session.changed = true;
      ctx.throw(418, "the handler's own error");
    },
  };

  for (const kind of legacyKinds) {
    for (const by of ["cookie", "token"] as const) {
      const prepare = async () => {
        const config: { store?: MapStore } = configOf(kind);
        const app = await start({ config, handlers: stopping });
        const { browser, pair } = await login(app);
        const get = (path: string) =>
          by === "cookie" ? browser.get(path) : app.browser().get(path, bearer(pair.accessToken));
        return { app, browser, get, store: config.store };
      };

      test(`a logout by ${by} of a session in a ${kind} is refused and destroys nothing`, async () => {
        const { browser, get, store } = await prepare();
        expectUnavailable(await get("/stop-and-logout"));
        await bringBack(database);
        expect((await browser.get("/whoami")).body.session).toEqual({ userId: "user-1" });
        if (store !== undefined) expect(store.entries.size).toBe(1);
      });

      test(`a change by ${by} of a session in a ${kind} is refused with no header of the handler`, async () => {
        const { app, browser, get } = await prepare();
        expectUnavailable(await get("/stop-and-change"));
        expect(app.errors.map((error) => (error as { code?: unknown }).code)).toEqual([
          "store-unavailable",
        ]);
        await bringBack(database);
        expect((await browser.get("/whoami")).body.session).toEqual({ userId: "user-1" });
      });

      test(`the handler's own error is the answer, by ${by}, session in a ${kind}`, async () => {
        const { app, get } = await prepare();
        const response = await get("/stop-and-throw");
        expect(response.status).toBe(418);
        expect(response.body).toBe("the handler's own error");
        expect(app.errors.at(-1)).toMatchObject({ status: 418 });
      });

      test(`what failed beside it is told, by ${by}, session in a ${kind}`, async () => {
        const { app, get } = await prepare();
        await get("/stop-and-throw");
        expect(app.bridgeErrors).toContainEqual(
          expect.objectContaining({ code: "store-unavailable" }),
        );
      });
    }
  }

  test("a refresh is refused, and rotates nothing", async () => {
    const app = await start();
    const { pair } = await login(app);
    await database.server.stop();
    expectUnavailable(await refresh(app.url, pair.refreshToken));
    await bringBack(database);
    expect((await refresh(app.url, pair.refreshToken)).status).toBe(200);
  });
});

describe("the old store is away", () => {
  let old: Database;
  let store: PgLegacyStore;
  beforeAll(async () => {
    old = await databaseOfItsOwnServer();
    store = new PgLegacyStore(old.pool);
    await store.createTable();
  });
  afterAll(() => old.drop());
  afterEach(() => bringBack(old));

  test.each(["observe", "bridge", "drain"] as const)("in %s nothing is lost", async (mode) => {
    const app = await start({ config: { store }, mode });
    const browser = await oldBrowser(app, { store }, "user-1");
    await old.server.stop();
    expectUnavailable(await browser.get("/whoami"), "legacy-store-unavailable");
    await bringBack(old);
    const back = await browser.get("/whoami");
    expect(back.body.session).toEqual({ userId: "user-1" });
  });

  test("an upgraded session goes on without it, by cookie and by token", async () => {
    const app = await start({ config: { store } });
    const { browser, pair } = await login(app);
    await old.server.stop();
    const byCookie = await browser.get("/count");
    expect(byCookie.body.session).toEqual({ userId: "user-1", count: 1 });
    const byToken = await app.browser().get("/count", bearer(pair.accessToken));
    expect(byToken.body.session).toEqual({ userId: "user-1", count: 2 });
    const told = app.bridgeErrors.map((error) => (error as { code?: unknown }).code);
    expect(told).toEqual(["legacy-store-unavailable", "legacy-store-unavailable"]);
  });
});

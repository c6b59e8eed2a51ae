import pg from "pg";
import { describe, expect, test } from "vitest";
import { bearer, tokensOf } from "../support/app.js";
import { compasSystem } from "../support/systems/compas.js";
import { createPgStore, expressSessionSystem } from "../support/systems/express-session.js";
import { koaGenericSessionSystem } from "../support/systems/koa-generic-session.js";
import { koaSessionMinimalSystem } from "../support/systems/koa-session-minimal.js";
import { koaSessionSystem } from "../support/systems/koa-session.js";
import { ListedExpressStore, ListedStore } from "../support/systems/listed-stores.js";
import type { OldSystem } from "../support/systems/old-system.js";
import { flowsOfTest } from "../support/systems/system-flow.js";

const startFlow = flowsOfTest();
const users = ["ada", "grace", "edsger"];
const none = { already: 0, gone: 0, failed: 0, notUpgradable: 0 };

interface Kind {
  readonly system: OldSystem;
  /** Its options, with a store of its own that can be taken away. */
  readonly store?: () => { options: object; takeAway: () => void };
}

const listed = () => {
  const store = new ListedStore();
  return { options: { store }, takeAway: () => void (store.failing = true) };
};
// Compas calls a store's functions by themselves, and puts its own into the store that it is given.
const listedForCompas = () => {
  const store = new ListedStore();
  const options = {
    get store() {
      return {
        get: (key: string) => store.get(key),
        set: (key: string, value: unknown) => store.set(key, value),
        destroy: (key: string) => store.destroy(key),
        keys: () => store.keys(),
      };
    },
  };
  return { options, takeAway: () => void (store.failing = true) };
};
const listedExpress = (asList: boolean) => () => {
  const store = new ListedExpressStore(asList);
  return { options: { store }, takeAway: () => void (store.failing = true) };
};

const kinds: Record<string, Kind> = {
  "koa-session with keys()": { system: koaSessionSystem("7"), store: listed },
  "koa-session 5 with keys()": { system: koaSessionSystem("5"), store: listed },
  "koa-session-minimal with keys()": { system: koaSessionMinimalSystem, store: listed },
  "koa-generic-session with keys()": { system: koaGenericSessionSystem, store: listed },
  "Compas with keys()": { system: compasSystem(), store: listedForCompas },
  "Compas's table": { system: compasSystem() },
  "express-session with all() by id": {
    system: expressSessionSystem,
    store: listedExpress(false),
  },
  "express-session with all() as a list": {
    system: expressSessionSystem,
    store: listedExpress(true),
  },
};

describe.each(Object.entries(kinds))("%s", (_, { system, store }) => {
  test("is upgraded ahead of its requests, which then need no old store", async () => {
    const { options, takeAway } = store?.() ?? { options: {}, takeAway: undefined };
    const flow = await startFlow(system, { options });
    const browsers = [];
    for (const user of users) browsers.push(await flow.loginBefore(user));
    const app = await flow.bridged();
    const [name = ""] = Object.keys(await app.bridge.backfill({ isDryRun: true }));
    expect(await flow.loggedIn()).toBe(0);

    const first = await app.bridge.backfill();
    expect(first).toEqual({ [name]: { found: 3, upgraded: 3, ...none } });
    expect(await flow.loggedIn()).toBe(3);
    expect(app.counts().upgraded).toBe(3);
    const second = await app.bridge.backfill();
    expect(second).toEqual({ [name]: { found: 0, upgraded: 0, ...none } });

    takeAway?.();
    const later = await flow.bridged({ writeThrough: false });
    for (const [index, old] of browsers.entries()) {
      const browser = old.clone({ baseUrl: later.url });
      const opened = await browser.get("/whoami");
      expect(opened.body.session).toEqual({ userId: users[index] });
      const { accessToken } = tokensOf(opened);
      expect((await browser.get("/count")).body.session).toEqual({
        userId: users[index],
        count: 1,
      });
      const byToken = await later.browser().get("/whoami", bearer(accessToken));
      expect(byToken.body.session).toEqual({ userId: users[index], count: 1 });
    }
    expect(await flow.tableRows("sessionBridgeLink")).toHaveLength(3);
    expect(await flow.loggedIn()).toBe(3);
    expect(later.bridgeErrors).toEqual([]);
    // What a request would have upgraded and written through, a logout ends as well.
    if (takeAway !== undefined) return;
    const browser = browsers[0]!.clone({ baseUrl: app.url });
    await browser.get("/logout");
    expect(await flow.application.rows()).toHaveLength(2);
    expect(await flow.loggedIn()).toBe(2);
  });
});

describe("connect-pg-simple", () => {
  test.each([
    ["in the bridge's own database", true],
    ["by a pool of its own", false],
  ])("is upgraded from its table %s", async (_, isInSameDatabase) => {
    const flow = await startFlow(expressSessionSystem, { options: { isInSameDatabase } });
    for (const user of users) await flow.loginBefore(user);
    await flow.database.pool.query(
      `insert into "session" ("sid", "sess", "expire")
      values ('over', '{"cookie":{},"userId":"over"}', now() - interval '1 second')`,
    );
    const app = await flow.bridged();
    const result = await app.bridge.backfill();
    expect(result["express-session:connect.sid"]).toEqual({ found: 3, upgraded: 3, ...none });
    expect(await flow.loggedIn()).toBe(3);
  });

  test("is listed in a database of its own", async () => {
    const flow = await startFlow(expressSessionSystem);
    const theirs = await startFlow(expressSessionSystem);
    const pool = new pg.Pool({ connectionString: theirs.database.url, max: 2 });
    const application = expressSessionSystem.on(flow.database.pool, {
      options: { store: createPgStore(pool) },
    });
    await theirs.loginBefore("ada");
    const app = await flow.bridged({ legacy: application.source() });
    const result = await app.bridge.backfill();
    await pool.end();
    expect(result).toMatchObject({ "express-session:connect.sid": { upgraded: 1 } });
    expect(await flow.loggedIn()).toBe(1);
  });

  test("tells of a session whose data jsonb cannot hold, and upgrades the others", async () => {
    const flow = await startFlow(expressSessionSystem, { options: { isInSameDatabase: true } });
    for (const user of users) await flow.loginBefore(user);
    await flow.database.pool.query(
      `insert into "session" ("sid", "sess", "expire")
      values ('bad', '{"cookie":{},"text":"\\u0000"}', now() + interval '1 day')`,
    );
    const app = await flow.bridged();
    const result = await app.bridge.backfill();
    expect(result).toMatchObject({ "express-session:connect.sid": { upgraded: 3, failed: 1 } });
    expect(app.bridgeErrors).toMatchObject([{ code: "data-not-storable" }]);
    expect(await flow.loggedIn()).toBe(3);
  });
});

describe("A store", () => {
  const listedFlow = async (system = koaSessionSystem("7"), options: object = {}) => {
    const store = new ListedStore();
    const flow = await startFlow(system, { options: { store, ...options } });
    const app = await flow.bridged();
    return { store, flow, app };
  };
  const counts = (result: object) => Object.values(result)[0] as unknown;

  test("may hold what is not a session, has expired, or cannot be read", async () => {
    const { store, flow, app } = await listedFlow();
    await flow.loginBefore("ada");
    store.entries.set("text", "text");
    store.entries.set("over", { userId: "over", _expire: Date.now() - 1, _maxAge: 1 });
    store.entries.set("forever", { userId: "grace" });
    store.entries.set("unreadable", { userId: "nobody" });
    store.entries.set("no JSON", { userId: 1n });
    store.onRead = (key) => {
      if (key === "unreadable") throw new Error("a broken record");
    };
    expect(counts(await app.bridge.backfill())).toEqual({
      ...none,
      found: 6,
      upgraded: 2,
      gone: 1,
      failed: 2,
      notUpgradable: 1,
    });
    expect(app.bridgeErrors).toMatchObject([
      { code: "legacy-store-unavailable" },
      { code: "data-not-storable" },
    ]);
    expect(await flow.loggedIn()).toBe(2);
  });

  test.each([
    [koaSessionSystem("7"), { prefix: "ours:" }, "ours:1"],
    [koaGenericSessionSystem, { prefix: "ours:" }, "ours:1"],
    [koaSessionMinimalSystem, { key: "ours" }, "ours:1"],
  ])("is asked for this application's own sessions alone", async (system, options, key) => {
    const { store, flow, app } = await listedFlow(system, options);
    store.entries.set(key, { userId: "ada" });
    store.entries.set("theirs:1", { userId: "grace" });
    expect(counts(await app.bridge.backfill())).toEqual({ ...none, found: 1, upgraded: 1 });
    expect(await flow.loggedIn()).toBe(1);
  });

  test("that is away stops it; when it is back, it goes on", async () => {
    const { store, flow, app } = await listedFlow();
    for (let index = 0; index < 60; index += 1) store.entries.set(`${index}`, { userId: "ada" });
    let reads = 0;
    store.onRead = () => {
      if ((reads += 1) > 25) store.failing = true;
    };
    const running = app.bridge.backfill({ ratePerSecond: 100, concurrency: 1 });
    await expect(running).rejects.toMatchObject({ code: "legacy-store-unavailable" });
    const before = await flow.loggedIn();
    expect(before).toBeGreaterThan(0);
    expect(before).toBeLessThan(60);
    store.failing = false;
    store.onRead = () => undefined;
    expect(counts(await app.bridge.backfill())).toMatchObject({ upgraded: 60 - before });
    expect(await flow.loggedIn()).toBe(60);
  });

  test("is left as it is from an abort on", async () => {
    const { store, flow, app } = await listedFlow();
    for (let index = 0; index < 100; index += 1) store.entries.set(`${index}`, { userId: "ada" });
    const controller = new AbortController();
    const result = await app.bridge.backfill({
      ratePerSecond: 100,
      concurrency: 2,
      signal: controller.signal,
      onProgress: (soFar) => {
        if ((counts(soFar) as { upgraded: number }).upgraded >= 20) controller.abort();
      },
    });
    const { upgraded } = counts(result) as { upgraded: number };
    expect(upgraded).toBeGreaterThanOrEqual(20);
    expect(upgraded).toBeLessThan(50);
    expect(await flow.loggedIn()).toBe(upgraded);
    expect(counts(await app.bridge.backfill())).toMatchObject({ upgraded: 100 - upgraded });
  });

  test("is read no faster than it may be", async () => {
    const { store, app } = await listedFlow();
    for (let index = 0; index < 30; index += 1) store.entries.set(`${index}`, { userId: "ada" });
    const startedAt = performance.now();
    await app.bridge.backfill({ ratePerSecond: 30 });
    // The first batch, of three, does not wait.
    expect(performance.now() - startedAt).toBeGreaterThan(850);
  });

  test("that cannot be listed is told apart from a cookie that holds the data", async () => {
    const flow = await startFlow(koaSessionSystem("7"));
    const inCookie = koaSessionSystem("5", { hasStore: false }).on(flow.database.pool).source();
    const app = await flow.bridged({ legacy: [flow.application.source(), inCookie] });
    expect(await app.bridge.backfill()).toEqual({
      "koa-session:koa.sess": "not-listable",
      "koa-session:koa:sess": "data-in-cookies",
    });
  });

  test("of koa-session-minimal says by itself when a session ends whose lifetime a request decides", async () => {
    const cookie = (ctx: { session: { userId: string } }) => ({
      maxAge: ctx.session.userId === "ada" ? 60_000 : 1000,
    });
    const { flow, app, store } = await listedFlow(koaSessionMinimalSystem, { cookie });
    const old = await flow.loginBefore("ada");
    await app.bridge.backfill();
    const browser = old.clone({ baseUrl: app.url });
    expect((await browser.get("/whoami")).body.session).toEqual({ userId: "ada" });
    store.entries.clear();
    expect((await browser.get("/whoami")).body.session).toEqual({});
  });
});

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import pg from "pg";
import type { BackfillCounts, BackfillResult, SessionBridge } from "../../src/index.js";
import { bearer, type Handler, type RunningApp, tokensOf } from "../support/app.js";
import { Browser } from "../support/client.js";
import { compasSystem } from "../support/systems/compas.js";
import { koaSessionSystem } from "../support/systems/koa-session.js";
import { ListedStore } from "../support/systems/listed-stores.js";
import { flowsOfTest, type SystemFlow } from "../support/systems/system-flow.js";

const startFlow = flowsOfTest();

describe("While requests race a backfill", () => {
  const system = compasSystem();
  const sessions = 200;
  let flow: SystemFlow;
  let app: RunningApp;
  let other: RunningApp;
  let pool: pg.Pool;
  let holding: Promise<void>;
  beforeEach(async () => {
    flow = await startFlow(system);
    const { handlers = {} } = flow.application.bridged;
    const held = (path: string): Handler => {
      return async (ctx) => {
        void ctx.session?.userId;
        await holding;
        await handlers[path]?.(ctx);
      };
    };
    app = await flow.bridged({
      handlers: { ...handlers, "/held/logout": held("/logout"), "/held/count": held("/count") },
    });
    // As another process has it: with connections of its own.
    pool = new pg.Pool({ connectionString: flow.database.url, max: 4 });
    other = await flow.bridged({ pool });
  });
  afterEach(async () => {
    await other.bridge.close();
    await pool.end();
  });

  async function seed(): Promise<Browser[]> {
    const { rows } = await flow.database.pool.query<{ id: string }>(
      `insert into "session" ("expires", "data")
      select now() + interval '6 days', jsonb_build_object('userId', 'user-' || i, 'count', 0,
        '_expire', (extract(epoch from now() + interval '6 days') * 1000)::bigint, '_maxAge', 518400000)
      from generate_series(1, $1::int) i returning "id"::text as "id"`,
      [sessions],
    );
    return rows.map(({ id }) => {
      const browser = new Browser(app.url);
      for (const [name, value] of Object.entries(system.cookiesOfId!(id))) {
        browser.cookies.set(name, value);
      }
      return browser;
    });
  }

  /** In small steps; held requests, which have read their session before, go on in the midst of it. */
  function backfillSlowly(bridge: SessionBridge) {
    let goOn = (): void => undefined;
    holding = new Promise((resolve) => (goOn = resolve));
    const onProgress = (soFar: BackfillResult) => {
      const counts = soFar[sourceName] as BackfillCounts;
      if (counts.upgraded + counts.already + counts.gone >= sessions * 0.7) goOn();
    };
    const options = { ratePerSecond: 200, concurrency: 4, onProgress };
    return bridge.backfill(options).finally(() => {
      goOn();
    });
  }
  const sourceName = "compas:oldapp.sess";

  test("no logout leaves anything alive, again and again", async () => {
    for (let round = 0; round < 5; round += 1) {
      const browsers = await seed();
      const backfill = backfillSlowly(other.bridge);
      const answers = await Promise.all(
        browsers.map((browser, index) =>
          browser.clone().get(index % 2 === 0 ? "/logout" : "/held/logout"),
        ),
      );
      const { [sourceName]: counts } = await backfill;
      expect(counts).toMatchObject({ failed: 0 });
      expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
      expect(await flow.loggedIn()).toBe(0);
      expect(await flow.application.rows()).toEqual([]);
      const later = await Promise.all(browsers.map((browser) => browser.get("/whoami")));
      expect(later.filter(({ body }) => body.session?.userId !== undefined)).toEqual([]);
    }
  });

  test("no change is lost, and each session is upgraded once by somebody", async () => {
    for (let round = 0; round < 3; round += 1) {
      const browsers = await seed();
      const backfills = [app, other].map(({ bridge }) => bridge.backfill());
      backfills.push(backfillSlowly(other.bridge));
      const answers = await Promise.all(
        browsers.map(async (browser, index) => {
          await browser.clone().get(`/set?first=${index}`);
          await browser.clone().get(index % 2 === 0 ? "/count" : "/held/count");
          return browser.get("/whoami");
        }),
      );
      const results = await Promise.all(backfills);
      for (const [index, { body }] of answers.entries()) {
        expect(body.session).toMatchObject({ first: `${index}`, count: 1 });
      }
      for (const each of results) expect(each[sourceName]).toMatchObject({ failed: 0, gone: 0 });
      const links = await flow.tableRows("sessionBridgeLink");
      expect(links).toHaveLength(sessions * (round + 1));
      expect(await flow.tableRows("sessionStore")).toHaveLength(links.length);
      expect(await flow.loggedIn()).toBe(links.length);
      expect(app.counts().upgraded + other.counts().upgraded).toBe(links.length);
    }
  });
});

// Between the read and the upgrade, and between the upgrade and the second look.
describe("A writer without the bridge", () => {
  async function start() {
    const store = new ListedStore();
    const flow = await startFlow(koaSessionSystem("7"), { options: { store } });
    const app = await flow.bridged();
    const browser = (await flow.loginBefore("ada")).clone({ baseUrl: app.url });
    const [key = ""] = store.entries.keys();
    const change = (data: object) =>
      store.entries.set(key, { ...(store.entries.get(key) as object), ...data });
    /** Does something when the session has been read for the nth time. */
    const atRead = (nth: number, act: () => Promise<unknown> | void) => {
      let reads = 0;
      store.onRead = async () => {
        if ((reads += 1) === nth) await act();
      };
    };
    const source = "koa-session:koa.sess";
    return { store, flow, app, browser, key, change, atRead, source };
  }
  const dataOf = async (flow: SystemFlow) =>
    (await flow.tableRows("sessionStore")).map(({ data }) => data as object);

  test("that logs out ends the session", async () => {
    const { store, flow, app, browser, key, atRead, source } = await start();
    atRead(1, () => void store.entries.delete(key));
    expect(await app.bridge.backfill()).toMatchObject({ [source]: { upgraded: 0, gone: 1 } });
    expect(await flow.loggedIn()).toBe(0);
    expect((await browser.get("/whoami")).body.session).not.toHaveProperty("userId");
    expect(app.counts().upgraded).toBe(0);
  });

  test("that changes the session does not lose it", async () => {
    const { flow, app, browser, change, atRead, source } = await start();
    atRead(1, () => void change({ color: "red", _expire: Date.now() + 3_600_000 }));
    expect(await app.bridge.backfill()).toMatchObject({ [source]: { upgraded: 1 } });
    expect(await dataOf(flow)).toEqual([{ userId: "ada", color: "red" }]);
    const [link] = await flow.tableRows("sessionBridgeLink");
    const inAnHour = Math.abs(link.expiresAt.getTime() - Date.now() - 3_600_000);
    expect(inAnHour).toBeLessThan(60_000);
    expect((await browser.get("/whoami")).body.session).toEqual({ userId: "ada", color: "red" });
  });

  test("loses nothing to a request that commits meanwhile, nor that request to it", async () => {
    const { flow, app, browser, change, store, key, atRead } = await start();
    atRead(1, () => {
      change({ color: "red", size: 1 });
      // The request finds the link; the third look then sees what was there before it.
      atRead(2, async () => {
        const before = store.entries.get(key);
        await browser.get("/set?size=2&shape=round");
        store.entries.set(key, before);
      });
      return Promise.resolve();
    });
    await app.bridge.backfill();
    expect(await dataOf(flow)).toEqual([
      { userId: "ada", color: "red", size: "2", shape: "round" },
    ]);
    const { accessToken } = tokensOf(await browser.get("/whoami"));
    expect((await browser.get("/whoami", bearer(accessToken))).body.session).toMatchObject({
      color: "red",
    });
  });
});

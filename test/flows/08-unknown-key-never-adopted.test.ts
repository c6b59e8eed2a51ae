import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { koaSession, type Mode } from "../../src/index.js";
import {
  bearer,
  cookieKeys,
  MapStore,
  type RunningApp,
  startBridgedApp,
  tokensOf,
} from "../support/app.js";
import type { Browser, BrowserResponse } from "../support/client.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import {
  cookieSignature,
  decodePayload,
  encodePayload,
  plantCookie,
} from "../support/signed-cookie.js";
import { cookieName } from "../support/flow.js";
import { login, pairIn, sessionIdOf, whoami } from "../support/tokens.js";
import { koaSessionVersion, session } from "../support/versions.js";

let database: TestDatabase;
const apps: RunningApp[] = [];

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.drop());
afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
  await database.pool.query(`delete from "sessionStore"; delete from "sessionBridgeLink"`);
});

async function start(options?: Parameters<typeof startBridgedApp>[1]): Promise<RunningApp> {
  const app = await startBridgedApp(database.pool, options);
  apps.push(app);
  return app;
}

async function rowCounts() {
  const { rows } = await database.pool.query(
    `select (select count(*)::int from "sessionStore") as "sessions",
      (select count(*)::int from "sessionBridgeLink") as "links"`,
  );
  return rows[0] as { sessions: number; links: number };
}

async function outcomesOf(app: RunningApp) {
  const { legacyCookies } = app.counts();
  const [counts] = Object.values(legacyCookies);
  return Object.fromEntries(Object.entries(counts ?? {}).filter(([, count]) => count > 0));
}

function expectNobody(response: BrowserResponse): void {
  expect(response.status).toBe(200);
  expect(response.body).toEqual({ session: {}, isNew: true });
  expect(tokensOf(response)).toEqual({ accessToken: undefined, refreshToken: undefined });
}

describe("an unknown id", () => {
  test("that is validly signed opens nothing and leaves no trace", async () => {
    const app = await start();
    const browser = plantCookie(app.browser(), "chosen-by-an-attacker");
    expectNobody(await browser.get("/whoami"));
    expect(await rowCounts()).toEqual({ sessions: 0, links: 0 });
    expect(await outcomesOf(app)).toEqual({ missed: 1 });
  });

  test("planted on a user before the login is not the user's id after it", async () => {
    const store = new MapStore();
    const app = await start({ config: { store } });
    const attacker = plantCookie(app.browser(), "chosen-by-an-attacker");
    const victim = attacker.clone();
    const { accessToken } = pairIn(await victim.get("/login?user=victim"));
    expect(victim.cookies.get(cookieName)).not.toBe("chosen-by-an-attacker");
    expect([...store.entries.keys()]).not.toContain("chosen-by-an-attacker");
    expect((await victim.get("/whoami")).body.session).toEqual({ userId: "victim" });
    expectNobody(await attacker.get("/whoami"));
    expect(sessionIdOf(accessToken)).not.toBe("chosen-by-an-attacker");
    expect(await rowCounts()).toEqual({ sessions: 1, links: 1 });
  });

  test("that the application's own genid takes over is not upgraded", async () => {
    const app = await start({
      config: { store: new MapStore(), genid: () => "chosen-by-an-attacker" },
    });
    const browser = plantCookie(app.browser(), "chosen-by-an-attacker");
    const response = await browser.get("/login");
    expect(response.body.session).toEqual({ userId: "user-1" });
    expect(tokensOf(response)).toEqual({ accessToken: undefined, refreshToken: undefined });
    expect(await rowCounts()).toEqual({ sessions: 0, links: 0 });
  });

  test("of one old session system is not the same id of another", async () => {
    const stores = { a: new MapStore(), b: new MapStore() };
    await stores.a.set("same-id", { userId: "of-a" });
    await stores.b.set("same-id", { userId: "of-b" });
    const app = await start({
      legacy: [
        koaSession(session, { key: "a", store: stores.a }),
        koaSession(session, { key: "b", store: stores.b }),
      ],
    });
    const ofA = await plantCookie(app.browser(), "same-id", { name: "a" }).get("/whoami");
    const ofB = await plantCookie(app.browser(), "same-id", { name: "b" }).get("/whoami");
    expect(ofA.body.session).toEqual({ userId: "of-a" });
    expect(ofB.body.session).toEqual({ userId: "of-b" });
    expect((await whoami(app.url, pairIn(ofB))).body.session).toEqual({ userId: "of-b" });
    expect(await rowCounts()).toEqual({ sessions: 2, links: 2 });
  });
});

describe("upgrades and regenerate mint new ids", () => {
  test("the token session's id is not the legacy key, though both are UUIDs", async () => {
    const app = await start();
    const first = await login(app, "first");
    const second = await login(app, "second");
    const ids = [first, second].flatMap(({ browser, pair }) => [
      browser.cookies.get(cookieName),
      sessionIdOf(pair.accessToken),
    ]);
    expect(new Set(ids).size).toBe(4);
  });

  test("regenerate by token ends the old session and its tokens", async () => {
    const app = await start();
    const { browser, pair } = await login(app);
    const regenerated = pairIn(await app.browser().get("/regenerate", bearer(pair.accessToken)));
    expect(sessionIdOf(regenerated.accessToken)).not.toBe(sessionIdOf(pair.accessToken));
    expect((await whoami(app.url, regenerated)).body.session).toEqual({ userId: "user-1" });
    expect((await whoami(app.url, pair)).status).toBe(401);
    expectNobody(await browser.get("/whoami"));
  });

  // koa-session 5 cannot regenerate.
  if (koaSessionVersion !== "5") {
    test("regenerate by cookie ends the old session, its cookie and its tokens", async () => {
      const app = await start();
      const { browser, pair } = await login(app);
      const stolen = browser.clone();
      const regenerated = pairIn(await browser.get("/regenerate"));
      expect(sessionIdOf(regenerated.accessToken)).not.toBe(sessionIdOf(pair.accessToken));
      expect((await browser.get("/whoami")).body.session).toEqual({ userId: "user-1" });
      expect((await whoami(app.url, regenerated)).body.session).toEqual({ userId: "user-1" });
      expect((await whoami(app.url, pair)).status).toBe(401);
      expectNobody(await stolen.get("/whoami"));
    });

    test("a session planted before the login does not see what is behind it", async () => {
      const app = await start({
        handlers: {
          "/safe-login": async (ctx) => {
            await ctx.session.regenerate();
            ctx.session.userId = "victim";
          },
        },
      });
      const attacker = app.browser();
      const planted = pairIn(await attacker.get("/set?theme=dark"));
      const victim = attacker.clone();
      await victim.get("/safe-login");
      expect((await victim.get("/whoami")).body.session.userId).toBe("victim");
      expectNobody(await attacker.get("/whoami"));
      expect((await whoami(app.url, planted)).status).toBe(401);
    });
  }
});

describe("a data cookie", () => {
  const unsigned = { signed: false };

  test("without a signature is served as before, and never upgraded", async () => {
    const app = await start({ config: unsigned });
    const browser = app.browser();
    const response = await browser.get("/login?user=anybody");
    expect(tokensOf(response).accessToken).toBeUndefined();
    const again = await browser.get("/count");
    expect(again.body.session).toEqual({ userId: "anybody", count: 1 });
    expect(tokensOf(again).accessToken).toBeUndefined();
    expect((await browser.post("/session/upgrade")).body.code).toBe("not-upgradable");
    expect(await rowCounts()).toEqual({ sessions: 0, links: 0 });
  });

  test("without a signature is upgraded when the user says allowUnsigned", async () => {
    const app = await start({ config: unsigned, allowUnsigned: true });
    const { browser, pair } = await login(app);
    expect((await whoami(app.url, pair)).body.session).toEqual({ userId: "user-1" });
    expect((await browser.get("/whoami")).body.session).toEqual({ userId: "user-1" });
    expect(await rowCounts()).toEqual({ sessions: 1, links: 1 });
  });

  test("with another's id but no valid signature does not open the other's session", async () => {
    const app = await start({ config: {} });
    const { browser } = await login(app, "victim");
    const { _bridge } = decodePayload(browser.cookies.get(cookieName)!);
    expect(_bridge).toBeTypeOf("string");
    const attacker = app.browser();
    attacker.cookies.set(cookieName, encodePayload({ userId: "attacker", _bridge }));
    attacker.cookies.set(`${cookieName}.sig`, browser.cookies.get(`${cookieName}.sig`)!);
    expectNobody(await attacker.get("/whoami"));
  });

  test("without a signature but with a store carries only an id, and is upgraded", async () => {
    const app = await start({ config: { ...unsigned, store: new MapStore() } });
    const { pair } = await login(app);
    expect((await whoami(app.url, pair)).body.session).toEqual({ userId: "user-1" });
  });
});

describe("a forged or tampered cookie", () => {
  const forgeries: Record<string, (browser: Browser, value: string) => unknown> = {
    "without its signature": ({ cookies }) => cookies.delete(`${cookieName}.sig`),
    "with an empty signature": ({ cookies }) => cookies.set(`${cookieName}.sig`, ""),
    "signed by a key that is not the application's": (browser, value) =>
      plantCookie(browser, value, { key: "somebody else's key" }),
    "with the signature of a cookie of another name": ({ cookies }, value) =>
      cookies.set(`${cookieName}.sig`, cookieSignature("other", value)),
    "with another value under the old signature": ({ cookies }, value) =>
      cookies.set(cookieName, `${value}A`),
  };
  const kinds = { "an id": () => ({ store: new MapStore() }), data: () => ({}) };

  for (const [kind, config] of Object.entries(kinds)) {
    for (const [forgery, forge] of Object.entries(forgeries)) {
      test(`that carries ${kind}, ${forgery}, opens nothing`, async () => {
        let mode: Mode = "observe";
        const app = await start({ config: config(), mode: () => mode });
        const browser = app.browser();
        await browser.get("/login");
        mode = "bridge";
        const forger = browser.clone();
        forge(forger, browser.cookies.get(cookieName)!);
        expectNobody(await forger.get("/whoami"));
        expect(await outcomesOf(app)).toEqual({ unverified: 1 });
        expect((await forger.post("/session/upgrade")).status).toBe(401);
        expect(await rowCounts()).toEqual({ sessions: 0, links: 0 });
      });
    }
  }

  test("is not one that an older key of the application signed", async () => {
    const store = new MapStore();
    await store.set("known-id", { userId: "user-1" });
    const app = await start({ config: { store } });
    const browser = plantCookie(app.browser(), "known-id", { key: cookieKeys[1]! });
    expect((await browser.get("/whoami")).body.session).toEqual({ userId: "user-1" });
  });
});

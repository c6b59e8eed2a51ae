import pg from "pg";
import { inspect } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Mode, sessionBridge } from "../../src/index.js";
import { bearer, MapStore, type RunningApp, startBridgedApp, tokensOf } from "../support/app.js";
import { type BrowserResponse } from "../support/client.js";
import { TestClock } from "../support/clock.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { legacyKinds } from "../support/flow.js";
import { secrets } from "../support/secrets.js";
import { plantCookie } from "../support/signed-cookie.js";
import { login, pairIn, pairInBody, refresh, whoami } from "../support/tokens.js";

let database: TestDatabase;
const apps: RunningApp[] = [];

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.drop());
afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
});

async function start(options?: Parameters<typeof startBridgedApp>[1]): Promise<RunningApp> {
  const app = await startBridgedApp(database.pool, options);
  apps.push(app);
  return app;
}

const varies = ({ headers }: BrowserResponse) =>
  String(headers["vary"] ?? "")
    .split(", ")
    .filter(Boolean)
    .sort();

describe("a response with tokens", () => {
  test("is for nobody's cache, whatever the handler says", async () => {
    const app = await start({
      handlers: {
        "/cached": (ctx) => {
          ctx.set("Cache-Control", "public, max-age=3600");
          ctx.set("Vary", "Accept");
          ctx.session.seen = true;
        },
      },
    });
    const browser = app.browser();
    const offered = await browser.get("/cached");
    expect(pairIn(offered)).toBeDefined();
    expect(offered.headers["cache-control"]).toBe("no-store");
    expect(varies(offered)).toEqual(["Accept", "Authorization", "Cookie"]);
    const { accessToken } = pairIn(offered);
    const without = await app.browser().get("/cached", bearer(accessToken));
    expect(tokensOf(without).accessToken).toBeUndefined();
    expect(without.headers["cache-control"]).toBe("public, max-age=3600");
  });

  test("from the endpoints is for nobody's cache either", async () => {
    const app = await start();
    const browser = app.browser();
    await browser.get("/login");
    const upgraded = await browser.post("/session/upgrade");
    const refreshed = await refresh(app.url, pairInBody(upgraded).refreshToken);
    for (const response of [upgraded, refreshed]) {
      expect(response.status).toBe(200);
      expect(response.headers["cache-control"]).toBe("no-store");
      expect(varies(response)).toEqual(["Authorization", "Cookie"]);
    }
  });

  test("by the user's own transport is for nobody's cache either", async () => {
    const app = await start({
      transport: (ctx, pair) => {
        ctx.set("X-Own", pair.accessToken);
      },
    });
    const response = await app.browser().get("/login");
    expect(response.headers["x-own"]).toBeDefined();
    expect(response.headers["cache-control"]).toBe("no-store");
    expect(varies(response)).toEqual(["Authorization", "Cookie"]);
  });
});

describe("tokens are not offered", () => {
  let app: RunningApp;
  let browser: Awaited<ReturnType<typeof login>>["browser"];

  beforeEach(async () => {
    app = await start();
    ({ browser } = await login(app));
  });

  const unoffered: Record<string, Record<string, string>> = {
    "to another site": { "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors" },
    "to a navigation": { "sec-fetch-site": "none", "sec-fetch-mode": "navigate" },
    "to a document": { "sec-fetch-site": "same-origin", "sec-fetch-dest": "document" },
    "to a frame": { "sec-fetch-site": "same-origin", "sec-fetch-dest": "iframe" },
    "to an image": { "sec-fetch-site": "same-origin", "sec-fetch-dest": "image" },
  };
  for (const [whom, headers] of Object.entries(unoffered)) {
    test(whom, async () => {
      const response = await browser.get("/whoami", { headers });
      expect(response.body.session).toEqual({ userId: "user-1" });
      expect(tokensOf(response).accessToken).toBeUndefined();
      expect(tokensOf(response).refreshToken).toBeUndefined();
      expect(tokensOf(await browser.get("/whoami")).accessToken).toBeDefined();
    });
  }

  test("but they are to a script of the same site", async () => {
    for (const site of ["same-origin", "same-site", "none"]) {
      const headers = {
        "sec-fetch-site": site,
        "sec-fetch-mode": "cors",
        "sec-fetch-dest": "empty",
      };
      expect(tokensOf(await browser.get("/whoami", { headers })).accessToken).toBeDefined();
    }
  });

  test("by the upgrade endpoint to another site that comes with the cookie", async () => {
    // A password that the browser knows comes along by itself, like the cookie.
    for (const authorization of [{}, { authorization: "Basic b3A6cGFzc3dvcmQ=" }]) {
      const headers = { "sec-fetch-site": "cross-site", ...authorization };
      const response = await browser.post("/session/upgrade", { headers });
      expect(response.status).toBe(403);
      expect(response.body.code).toBe("cross-site-request");
      expect((await browser.post("/session/logout", { headers })).status).toBe(403);
    }
    expect((await browser.get("/whoami")).body.session).toEqual({ userId: "user-1" });
  });

  test("where the user's own condition says no", async () => {
    const guarded = await start({ offer: (ctx) => ctx.get("X-Client") === "new" });
    const guest = guarded.browser();
    expect(tokensOf(await guest.get("/login")).accessToken).toBeUndefined();
    const headers = { "x-client": "new" };
    expect(tokensOf(await guest.get("/whoami", { headers })).accessToken).toBeDefined();
  });

  test("in mode tokens, a login by navigation makes no session that nobody could open", async () => {
    const tokensOnly = await start({ mode: "tokens" });
    const headers = { "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
    const before = await database.pool.query(`select count(*) from "sessionStore"`);
    const response = await tokensOnly.browser().get("/login", { headers });
    expect(tokensOf(response).accessToken).toBeUndefined();
    const after = await database.pool.query(`select count(*) from "sessionStore"`);
    expect(after.rows).toEqual(before.rows);
  });
});

/** An old store that names the key in its errors, as clients of Redis do. */
class TalkativeStore extends MapStore {
  isDown = false;

  override async get(key: string): Promise<unknown> {
    if (!this.isDown) return super.get(key);
    throw Object.assign(new Error(`GET ${key}: connection refused`), {
      command: { name: "get", args: [key] },
    });
  }
}

describe("nothing secret is logged, told, answered or stored", () => {
  test.each(legacyKinds)("by a scenario of everything, session in a %s", async (kind) => {
    secrets.takeLeaks();
    let mode: Mode = "bridge";
    const clock = new TestClock();
    const store = new TalkativeStore();
    const app = await start({
      config: kind === "store" ? { store } : {},
      clock: clock.now,
      mode: () => mode,
      labels: () => ({ version: "1" }),
      handlers: {
        "/unstorable": (ctx) => {
          ctx.session.unstorable = "\u0000";
        },
        "/issue": async (ctx) => {
          ctx.body = await app.bridge.issueTokens(ctx);
        },
      },
    });
    const { browser, pair } = await login(app);
    for (const path of ["/whoami", "/count", "/throw", "/unstorable", "/regenerate", "/issue"]) {
      await browser.get(path);
      await app.browser().get(path, bearer(pair.accessToken));
    }
    for (const each of ["observe", "drain", "tokens", "bridge"] satisfies Mode[]) {
      mode = each;
      const visitor = app.browser();
      for (const path of ["/login", "/count", "/issue", "/unstorable"]) await visitor.get(path);
      await visitor.post("/session/upgrade");
      await plantCookie(app.browser(), "a-forged-cookie-value", { key: "no key" }).get("/count");
      await plantCookie(app.browser(), "an-unknown-legacy-key").get("/count");
    }
    const thief = await login(app);
    const first = await refresh(app.url, thief.pair.refreshToken);
    clock.advance(16);
    await refresh(app.url, thief.pair.refreshToken);
    await whoami(app.url, pairInBody(first));
    const leaver = await login(app);
    store.isDown = true;
    await leaver.browser.get("/count");
    store.isDown = false;
    await leaver.browser.post("/session/logout");
    await whoami(app.url, leaver.pair);
    await app.browser().post("/session/refresh", { body: leaver.pair });

    const away = new pg.Pool({ connectionString: "postgres://app@127.0.0.1:1/nowhere" });
    const lost = await startBridgedApp(away, { config: kind === "store" ? { store } : {} });
    apps.push(lost);
    const known = browser.clone({ baseUrl: lost.url });
    expect((await known.get("/count")).status).toBe(503);
    expect((await whoami(lost.url, pair)).status).toBe(503);
    expect((await refresh(lost.url, pair.refreshToken)).status).toBe(503);

    for (const where of ["event ", "Koa's event error", "the body of a 401", "the body of a 503"]) {
      expect(secrets.seenIn(where), where).toBeGreaterThan(0);
    }
    for (const what of ["token", "cookie value", "cookie signature"]) {
      expect(secrets.known(what), what).toBeGreaterThan(5);
    }
    expect(secrets.takeLeaks()).toEqual([]);
    expect(await secrets.leaksInRows(database.directUrl)).toEqual([]);
    expect(secrets.leaksIn("the status", inspect(await app.bridge.status()))).toEqual([]);
    expect(secrets.leaksIn("the bridge", inspect(app.bridge, { depth: 4 }))).toEqual([]);
  });

  test("by an old store that names the key in its error", async () => {
    const store = new TalkativeStore();
    const app = await start({ config: { store }, mode: "observe" });
    const browser = app.browser();
    await browser.get("/login");
    store.isDown = true;
    expect((await browser.get("/whoami")).status).toBe(503);
    expect(app.errors).toHaveLength(1);
    expect(secrets.takeLeaks()).toEqual([]);
  });

  test("by the TypeError about a key", () => {
    const material =
      "-----BEGIN PRIVATE KEY-----\nnot really a private key\n-----END PRIVATE KEY-----";
    secrets.note("signing key", material);
    secrets.note("signing key", "not really a private key");
    secrets.note("signing key", "short-secret-key");
    const signingKeys = [
      { kid: "a", alg: "ES256", key: material },
      { kid: "b", alg: "HS256", key: "short-secret-key" },
      { kid: "c", alg: "EdDSA", key: { kty: "OKP", d: "not really a private key" } },
    ];
    const misuse = () =>
      sessionBridge({ tokens: { signingKeys } } as never, { use: () => 0, context: {} });
    expect(misuse).toThrow(TypeError);
    try {
      misuse();
    } catch (error) {
      expect(secrets.leaksIn("the error", inspect(error, { depth: 8 }))).toEqual([]);
    }
  });
});

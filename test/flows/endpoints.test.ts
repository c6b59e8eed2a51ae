import type { RequestListener } from "node:http";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { koaSession, type Mode, sessionBridge } from "../../src/index.js";
import {
  bearer,
  cookieKeys,
  handle,
  MapStore,
  type RunningApp,
  signingKeys,
  startBridgedApp,
} from "../support/app.js";
import { Browser, type BrowserResponse } from "../support/client.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { startServer } from "../support/server.js";
import { login, pairInBody, refresh, whoami } from "../support/tokens.js";
import { Koa, session } from "../support/versions.js";

let database: TestDatabase;
const closing: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.drop());
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function start(options?: Parameters<typeof startBridgedApp>[1]): Promise<RunningApp> {
  const app = await startBridgedApp(database.pool, options);
  closing.push(() => app.close());
  return app;
}

function expectProblem(response: BrowserResponse, status: number, code: string): void {
  expect(response.status).toBe(status);
  expect(response.headers["content-type"]).toBe("application/problem+json");
  expect(response.headers["cache-control"]).toBe("no-store");
  expect(response.body).toEqual({
    type: "about:blank",
    title: expect.any(String) as string,
    status,
    code,
  });
}

describe("POST /session/upgrade", () => {
  test("answers a cookie session with its pair, as OAuth does, and with the same one again", async () => {
    const app = await start({ transport: "endpoint" });
    const browser = app.browser();
    await browser.get("/login");
    const first = await browser.post("/session/upgrade");
    expect(first.status).toBe(200);
    expect(first.headers["content-type"]).toMatch(/^application\/json/);
    expect(Object.keys(first.body).sort()).toEqual([
      "access_token",
      "expires_in",
      "refresh_expires_in",
      "refresh_token",
      "token_type",
    ]);
    expect(first.body.token_type).toBe("Bearer");
    expect(first.body.expires_in).toBeGreaterThan(890);
    expect(first.body.refresh_expires_in).toBeGreaterThan(30 * 24 * 60 * 60 - 10);
    const second = await browser.post("/session/upgrade");
    expect(pairInBody(second)).toEqual(pairInBody(first));
    expect((await whoami(app.url, pairInBody(first))).body.session).toEqual({ userId: "user-1" });
  });

  test("has nothing for a session whose tokens are in use", async () => {
    const app = await start();
    const { browser, pair } = await login(app);
    await whoami(app.url, pair);
    expectProblem(await browser.post("/session/upgrade"), 409, "already-adopted");
  });

  test("makes no refresh token of an access token", async () => {
    const app = await start();
    const { pair } = await login(app);
    const response = await app.browser().post("/session/upgrade", bearer(pair.accessToken));
    expectProblem(response, 409, "already-bearer");
  });

  test("has nothing for a stranger, and nothing in observe", async () => {
    for (const mode of ["bridge", "drain", "tokens"] satisfies Mode[]) {
      const app = await start({ mode });
      const response = await app.browser().post("/session/upgrade");
      expectProblem(response, 401, "no-session");
      expect(response.headers["www-authenticate"]).toBe("Bearer");
    }
    const app = await start({ mode: "observe" });
    const browser = app.browser();
    await browser.get("/login");
    expectProblem(await browser.post("/session/upgrade"), 409, "issuing-disabled");
  });

  test("answers in drain as well", async () => {
    let mode: Mode = "observe";
    const app = await start({ mode: () => mode });
    const browser = app.browser();
    await browser.get("/login");
    mode = "drain";
    const response = await browser.post("/session/upgrade");
    expect((await whoami(app.url, pairInBody(response))).status).toBe(200);
    expect(response.setCookie).toEqual([]);
  });
});

describe("POST /session/refresh", () => {
  test("needs neither cookie nor access token, and may come with an expired one", async () => {
    const app = await start();
    const { browser, pair } = await login(app);
    const body = { refresh_token: pair.refreshToken };
    const headers = { authorization: "Bearer expired-or-worse" };
    const response = await browser.post("/session/refresh", { body, headers });
    expect((await whoami(app.url, pairInBody(response))).status).toBe(200);
    expect(response.setCookie).toEqual([]);
  });

  const badBodies: Record<string, Parameters<Browser["post"]>[1]> = {
    "no body": {},
    "an empty object": { body: {} },
    "a token that is a number": { body: { refresh_token: 1 } },
    "an empty token": { body: { refresh_token: "" } },
    "an array": { body: [] },
    null: { body: null },
    "broken JSON": { body: "{", headers: { "content-type": "application/json" } },
    "a form": {
      body: "refresh_token=a",
      headers: { "content-type": "application/x-www-form-urlencoded" },
    },
    "a body of 20 kilobytes": { body: { refresh_token: "a".repeat(20_000) } },
  };
  for (const [what, options] of Object.entries(badBodies)) {
    test(`refuses ${what}`, async () => {
      const app = await start();
      const response = await app.browser().post("/session/refresh", options);
      expectProblem(response, 400, "invalid-request");
    });
  }

  test("works in every mode", async () => {
    const { sessions } = (await start()).bridge;
    for (const mode of ["observe", "bridge", "drain", "tokens"] satisfies Mode[]) {
      const app = await start({ mode });
      const { refreshToken } = await sessions.create({ userId: "user-1" });
      const refreshed = pairInBody(await refresh(app.url, refreshToken));
      expect((await whoami(app.url, refreshed)).body.session).toEqual({ userId: "user-1" });
    }
  });
});

describe("POST /session/logout", () => {
  test("by either credential ends the session for both and clears the cookie", async () => {
    const store = new MapStore();
    const app = await start({ config: { store } });
    for (const by of ["cookie", "token"] as const) {
      const { browser, pair } = await login(app);
      const copy = browser.clone();
      const options = by === "token" ? bearer(pair.accessToken) : {};
      const response = await browser.post("/session/logout", options);
      expect(response.status).toBe(204);
      expect(response.body).toBe("");
      expect(browser.cookies.size).toBe(0);
      expect((await copy.get("/whoami")).body).toEqual({ session: {}, isNew: true });
      expect((await whoami(app.url, pair)).status).toBe(401);
      expect((await refresh(app.url, pair.refreshToken)).status).toBe(401);
      expect(store.entries.size).toBe(0);
    }
  });

  test("of a stranger is no error", async () => {
    const app = await start();
    expect((await app.browser().post("/session/logout")).status).toBe(204);
  });
});

describe("every endpoint", () => {
  test("takes only POST", async () => {
    const app = await start();
    const { browser } = await login(app);
    for (const path of ["/session/upgrade", "/session/refresh", "/session/logout"]) {
      for (const method of ["GET", "PUT", "DELETE"]) {
        const response = await browser.request(method, path);
        expectProblem(response, 405, "method-not-allowed");
        expect(response.headers["allow"]).toBe("POST");
      }
    }
    expect((await browser.get("/whoami")).body.session).toEqual({ userId: "user-1" });
  });

  test("refuses options that it does not know, and a prefix that is no path", () => {
    const routes = (options: object) => () => unmounted().bridge.routes(options);
    expect(routes({ prefx: "/auth" })).toThrow(
      /^routes: 1 invalid option\n {2}- prefx: unknown option/,
    );
    for (const prefix of ["auth", "/auth/", "/a?b", 1]) {
      expect(routes({ prefix })).toThrow("prefix: must be a path such as /session");
    }
  });

  test("leaves other paths alone, and has the prefix it is given", async () => {
    const app = await start();
    expect((await app.browser().post("/session/other")).body).toEqual({ session: {}, isNew: true });
    const { bridge, app: koa } = unmounted();
    koa.use(bridge);
    koa.use(bridge.routes({ prefix: "/auth" }));
    koa.use(handle());
    const browser = await serve(koa);
    await browser.get("/login");
    expect((await browser.post("/auth/upgrade")).status).toBe(200);
    expect((await browser.post("/session/upgrade")).body.isNew).toBe(false);
  });

  test("works where it is mounted above the bridge, with the same answers", async () => {
    const { bridge, app: koa } = unmounted();
    koa.use(bridge.routes());
    koa.use(bridge);
    koa.use(handle());
    const browser = await serve(koa);
    await browser.get("/login");
    const pair = pairInBody(await browser.post("/session/upgrade"));
    const next = pairInBody(await refresh(browser.baseUrl, pair.refreshToken));
    const stranger = new Browser(browser.baseUrl);
    expectProblem(await stranger.post("/session/upgrade"), 401, "no-session");
    expectProblem(
      await stranger.post("/session/upgrade", bearer("no-token")),
      401,
      "invalid-token",
    );
    expect((await browser.post("/session/logout", bearer(next.accessToken))).status).toBe(204);
    expect((await whoami(browser.baseUrl, next)).status).toBe(401);
    expect(browser.cookies.size).toBe(0);
  });

  test("takes the body from a body parser that ran before", async () => {
    const { bridge, app: koa } = unmounted();
    koa.use(async (ctx, next) => {
      const chunks: Buffer[] = [];
      for await (const chunk of ctx.req) chunks.push(chunk as Buffer);
      const body: unknown = chunks.length > 0 ? JSON.parse(Buffer.concat(chunks).toString()) : {};
      Object.assign(ctx.request, { body });
      await next();
    });
    koa.use(bridge);
    koa.use(bridge.routes());
    koa.use(handle());
    const browser = await serve(koa);
    const { refreshToken } = await bridge.sessions.create({ userId: "user-1" });
    expect((await refresh(browser.baseUrl, refreshToken)).status).toBe(200);
    const empty = await browser.post("/session/refresh");
    expectProblem(empty, 400, "invalid-request");
  });
});

function unmounted() {
  const app = new Koa();
  app.keys = cookieKeys;
  const legacy = koaSession(session, { store: new MapStore() });
  const bridge = sessionBridge({ legacy, pool: database.pool, tokens: { signingKeys } }, app);
  closing.push(() => bridge.close());
  return { app, bridge };
}

async function serve(app: { callback(): RequestListener }): Promise<Browser> {
  const { url, close } = await startServer(app.callback());
  closing.push(close);
  return new Browser(url);
}

import { readdir, readFile } from "node:fs/promises";
import type { RequestListener } from "node:http";
import type pg from "pg";
import supertest from "supertest";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { SessionBridge } from "../src/index.js";
import { createApp as createCounter } from "../examples/compas-counter.js";
import { bearer, tokensOf } from "./support/app.js";
import { Browser } from "./support/client.js";
import { type TestDatabase, testDatabase } from "./support/database.js";
import { startServer } from "./support/server.js";
import { createCompasTable } from "./support/systems/compas.js";
import { development, setCompasEnvironment } from "./support/systems/compas-environment.js";

// That they compile is a matter of `npm run types`.
const folder = new URL("../examples/", import.meta.url);
const names = (await readdir(folder)).filter((name) => name.endsWith(".ts"));
// Each exports `createApp(pool)`, of an application with a login, but for this one.
const counter = "compas-counter.ts";

interface Example {
  createApp(pool: pg.Pool): {
    callback(): RequestListener;
    silent: boolean;
    bridge?: SessionBridge;
  };
}

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.drop());
beforeEach(() => {
  const key = { kid: "example", alg: "HS256", key: "an example's key of more than 32 bytes" };
  vi.stubEnv("SESSION_SIGNING_KEYS", JSON.stringify([key]));
});

test("there are some", () => {
  expect(names.length).toBeGreaterThan(2);
});

test.each(names)("%s has fewer than 60 lines", async (name) => {
  const text = await readFile(new URL(name, folder), "utf8");
  expect(text.trimEnd().split("\n").length).toBeLessThan(60);
});

describe.each(names.filter((name) => name !== counter))("%s", (name) => {
  test("runs: a stranger is served, a user logs in, is known, and logs out", async () => {
    const example = (await import(new URL(name, folder).href)) as Example;
    const app = example.createApp(database.pool);
    const { url, close } = await startServer(app.callback());
    const client = supertest(url);
    try {
      await client.get("/").expect(200);
      const login = await client.get("/login?user=grace").expect(200);
      const token = login.headers["session-access-token"] ?? login.body.access_token;
      expect(token).toBeTypeOf("string");
      const known = await client.get("/").auth(token, { type: "bearer" }).expect(200);
      expect(JSON.stringify(known.body)).toContain("grace");
      await client.post("/session/logout").auth(token, { type: "bearer" }).expect(204);
      await client.get("/").auth(token, { type: "bearer" }).expect(401);
    } finally {
      await close();
      await app.bridge?.close();
    }
  });
});

test("operated.ts shows its operator, and nobody else, who comes with a cookie", async () => {
  const { createApp } = await import("../examples/operated.js");
  const app = createApp(database.pool);
  const { url, close } = await startServer(app.callback());
  try {
    const visitor = new Browser(url);
    await visitor.get("/login?user=grace", { headers: { "x-client-version": "ios 3" } });
    const { headers } = await visitor.get("/", { headers: { "x-client-version": "ios 3" } });
    expect(headers["deprecation"]).toBe("@1798761600");
    expect((await visitor.get("/session-bridge")).status).toBe(403);
    // Without a session: in mode tokens a page has none.
    const operator = { headers: { "x-operator": "alice" } };
    const page = await new Browser(url).get("/session-bridge", operator);
    expect(page.body).toContain("<span>client</span> ios 3");
    expect((await visitor.get("/metrics")).body).toContain(
      'client="ios 3",source="koa-session:koa.sess",outcome="hit"} 1',
    );
  } finally {
    await close();
    await app.bridge.close();
  }
});

describe(counter, () => {
  type Stage = Parameters<typeof createCounter>[1];
  type Client = (path: string) => Promise<unknown>;

  const urls = {} as Record<Stage, string>;
  const closing: (() => Promise<void>)[] = [];

  beforeAll(() => createCompasTable(database.pool));
  beforeEach(async () => {
    setCompasEnvironment(development);
    for (const stage of ["before", "during", "after"] as const) {
      const app = createCounter(database.pool, stage);
      const server = await startServer(app.callback());
      urls[stage] = server.url;
      closing.push(server.close);
    }
    return async () => {
      for (const close of closing.splice(0)) await close();
    };
  });

  const withCookies = (browser: Browser): Client => {
    return async (path) => (await browser.get(path)).body as unknown;
  };

  /** Keeps the tokens that it gets, and no cookie. */
  const withTokens = (url: string): Client => {
    let accessToken: string | undefined;
    return async (path) => {
      const sent = accessToken === undefined ? {} : bearer(accessToken);
      const response = await new Browser(url).get(path, sent);
      accessToken = tokensOf(response).accessToken ?? accessToken;
      if (path === "/destroy") accessToken = undefined;
      return response.body as unknown;
    };
  };

  test.each<[Stage, string, (url: string) => Client]>([
    ["before", "cookies", (url) => withCookies(new Browser(url))],
    ["during", "cookies", (url) => withCookies(new Browser(url))],
    ["during", "tokens", withTokens],
    ["after", "tokens", withTokens],
  ])("counts alike %s, by %s", async (stage, _, clientOf) => {
    const client = clientOf(urls[stage]);
    const counters: [string, number | null][] = [
      ["/", null],
      ["/init", 0],
      ["/increment", 1],
      ["/increment", 2],
      ["/", 2],
      ["/init", 0],
      ["/destroy", null],
      ["/", null],
    ];
    for (const [path, expected] of counters) {
      expect(await client(path), path).toEqual({ counter: expected });
    }
  });

  test("counts on what was counted before", async () => {
    const browser = new Browser(urls.before);
    await browser.get("/init");
    await browser.get("/increment");

    const during = await browser.clone({ baseUrl: urls.during, shared: true }).get("/increment");
    expect(during.body).toEqual({ counter: 2 });
    const sent = bearer(tokensOf(during).accessToken);
    expect((await new Browser(urls.during).get("/increment", sent)).body).toEqual({ counter: 3 });
    const byCookie = await browser.clone({ baseUrl: urls.during }).get("/increment");
    expect(byCookie.body).toEqual({ counter: 4 });
    // A way back finds it.
    expect((await browser.get("/")).body).toEqual({ counter: 4 });

    expect((await new Browser(urls.after).get("/increment", sent)).body).toEqual({ counter: 5 });
    await new Browser(urls.after).get("/destroy", sent);
    expect((await new Browser(urls.after).get("/", sent)).status).toBe(401);
  });
});

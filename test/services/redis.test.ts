import redisStore, { type RedisStore } from "koa-redis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { bearer, tokensOf } from "../support/app.js";
import type { BrowserResponse } from "../support/client.js";
import { type RedisServer, startRedis } from "../support/redis.js";
import { koaGenericSessionSystem } from "../support/systems/koa-generic-session.js";
import { koaSessionMinimalSystem } from "../support/systems/koa-session-minimal.js";
import { koaSessionSystem } from "../support/systems/koa-session.js";
import { named } from "../support/systems/index.js";
import type { OldSystem, Settings } from "../support/systems/old-system.js";
import { flowsOfTest } from "../support/systems/system-flow.js";
import { whoami } from "../support/tokens.js";

const start = flowsOfTest();
const hourInMilliseconds = 3_600_000;

let server: RedisServer;
let store: RedisStore;
let reconnects: boolean;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.close());
beforeEach(async () => {
  await server.start();
  reconnects = true;
  store = redisStore({
    host: "127.0.0.1",
    port: server.port,
    // A command fails when Redis is away, and its client comes back soon.
    maxRetriesPerRequest: 0,
    retryStrategy: () => (reconnects ? 50 : null),
  });
  for (const key of await store.client.keys("*")) await store.destroy(key);
});
afterEach(() => {
  vi.useRealTimers();
  store.client.disconnect();
});

/** What Redis holds: the one session, and for how long. */
async function stored() {
  const [key, ...others] = await store.client.keys("*");
  if (key === undefined || others.length > 0) throw new Error("not one session");
  return { key, text: await store.client.get(key), ttl: await store.client.pttl(key) };
}

const isReady = () => store.status === "ready";
const codes = (errors: Error[]) => errors.map((error) => (error as { code?: unknown }).code);

const lifetime = { maxAge: hourInMilliseconds };
const settingsOf = ({ row }: OldSystem): Settings => ({
  options: {
    store,
    ...(row.startsWith("koa-session ") ? lifetime : { cookie: lifetime }),
    // How long koa-generic-session waits for a store that has said that it is disconnected.
    reconnectTimeout: 100,
  },
});

const systems = named([
  koaSessionSystem("5"),
  koaSessionSystem("6"),
  koaSessionSystem("7"),
  koaGenericSessionSystem,
  koaSessionMinimalSystem,
]);

describe.each(systems)("A session of %s in Redis, by koa-redis,", (_, system) => {
  async function startFlow() {
    const flow = await start(system, settingsOf(system));
    // By itself, koa-generic-session ends the process some time after: a rejection that nobody handles.
    store.removeAllListeners("disconnect");
    return flow;
  }

  it("is upgraded, written through, and read back by the package alone", async () => {
    const flow = await startFlow();
    const app = await flow.bridged();
    const { browser, pair } = await flow.upgraded(app);
    await browser.get("/set?by=cookie");
    await app.browser().get("/set?via=bearer", bearer(pair.accessToken));

    const expected = { userId: "user-1", by: "cookie", via: "bearer" };
    expect((await whoami(app.url, pair)).body.session).toEqual(expected);
    const plain = browser.clone({ baseUrl: flow.plain.url });
    expect((await plain.get("/whoami")).body.session).toEqual(expected);
    expect([...app.errors, ...app.bridgeErrors]).toEqual([]);
  });

  it("lives on in Redis for no longer than it did when a bearer token changes it", async () => {
    const flow = await startFlow();
    const app = await flow.bridged();
    const { pair } = await flow.upgraded(app);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 600_000 });

    await app.browser().get("/count", bearer(pair.accessToken));

    const { ttl, text } = await stored();
    expect(text).toContain('"count":1');
    expect(ttl / 1000).toBeGreaterThan(3000 - 20);
    expect(ttl / 1000).toBeLessThan(3000 + 20);
  });

  it("that was made at the bridge lives there as long as the package has it", async () => {
    const flow = await startFlow();
    const app = await flow.bridged();
    const browser = app.browser();
    await browser.get("/login?user=user-9");

    expect((await stored()).ttl / 1000).toBeGreaterThan(3600 - 20);
    expect((await stored()).ttl / 1000).toBeLessThan(3600 + 20);
    const plain = browser.clone({ baseUrl: flow.plain.url });
    expect((await plain.get("/whoami")).body.session).toEqual({ userId: "user-9" });
  });

  it.each(["cookie", "bearer"])("is deleted there by a logout by %s", async (by) => {
    const flow = await startFlow();
    const app = await flow.bridged();
    const { browser, pair } = await flow.upgraded(app);
    await stored();

    await (by === "cookie" ? browser : app.browser()).get(
      "/logout",
      by === "cookie" ? {} : bearer(pair.accessToken),
    );

    expect(await store.client.keys("*")).toEqual([]);
    expect(await flow.loggedIn()).toBe(0);
    expect((await whoami(app.url, pair)).status).toBe(401);
  });

  describe("when Redis is killed", () => {
    it("is opened by its token and, once upgraded, its cookie; the operator is told", async () => {
      const flow = await startFlow();
      const app = await flow.bridged();
      const { browser, pair } = await flow.upgraded(app);
      await server.kill();

      const byToken = await app.browser().get("/count", bearer(pair.accessToken));
      expect(byToken.body.session).toEqual({ userId: "user-1", count: 1 });
      const byCookie = await browser.get("/count");
      expect(byCookie.body.session).toEqual({ userId: "user-1", count: 2 });
      expect(codes(app.bridgeErrors)).toEqual([
        "legacy-store-unavailable",
        "legacy-store-unavailable",
      ]);

      await server.start();
      await vi.waitUntil(isReady);
      await browser.get("/count");
      const plain = browser.clone({ baseUrl: flow.plain.url });
      const expected = { userId: "user-1", count: 3 };
      expect((await plain.get("/whoami")).body.session).toEqual(expected);
      expect(codes(app.bridgeErrors)).toHaveLength(2);
    });

    it.each(["observe", "bridge", "drain"] as const)(
      "and not upgraded yet, is refused with 503 in %s, and open when Redis is back",
      async (mode) => {
        const flow = await startFlow();
        const app = await flow.bridged({ mode });
        const browser = (await flow.login()).clone({ baseUrl: app.url });
        const cookies = new Map(browser.cookies);
        await server.kill();

        for (const path of ["/whoami", "/count", "/logout"]) {
          expectUnavailable(await browser.get(path));
        }
        expect(browser.cookies).toEqual(cookies);

        await server.start();
        await vi.waitUntil(isReady);
        const back = await browser.get("/whoami");
        expect(back.body.session).toEqual({ userId: "user-1" });
        expect(tokensOf(back).accessToken === undefined).toBe(mode === "observe");
      },
    );

    // koa-redis then says `disconnect`.
    it("and its client gives up, is refused alike, or goes on once upgraded", async () => {
      const flow = await startFlow();
      const app = await flow.bridged();
      const old = (await flow.login("user-2")).clone({ baseUrl: app.url });
      const { browser } = await flow.upgraded(app);
      reconnects = false;
      await server.kill();
      await vi.waitUntil(() => store.status === "end");

      expectUnavailable(await old.get("/whoami"));
      expect((await browser.get("/count")).body.session).toEqual({ userId: "user-1", count: 1 });

      await server.start();
      await store.client.connect();
      expect((await old.get("/whoami")).body.session).toEqual({ userId: "user-2" });
    });

    it("and logged out meanwhile, stays so when Redis is back", async () => {
      const flow = await startFlow();
      const app = await flow.bridged();
      const { browser, pair } = await flow.upgraded(app);
      const stolen = browser.clone();
      await server.kill();
      expect((await app.browser().get("/logout", bearer(pair.accessToken))).status).toBe(200);

      await server.start();
      await vi.waitUntil(isReady);

      await stored();
      expect((await stolen.get("/whoami")).body.session).toEqual({});
      expect(await flow.loggedIn()).toBe(0);
    });
  });
});

function expectUnavailable(response: BrowserResponse): void {
  expect(response.status).toBe(503);
  expect(response.headers["retry-after"]).toMatch(/^\d+$/);
  expect(response.body.code).toBe("legacy-store-unavailable");
  expect(response.setCookie).toEqual([]);
}

import { beforeEach, describe, expect, it } from "vitest";
import type { Mode, SessionBridgeOptions } from "../../src/index.js";
import {
  type AppOptions,
  bearer,
  type RunningApp,
  startBridgedApp,
  startPlainApp,
  tokensOf,
} from "../support/app.js";
import type { Browser } from "../support/client.js";
import { TestClock } from "../support/clock.js";
import { type Flow, storeKeyOf, type LegacyKind, legacyKinds, startFlow } from "../support/flow.js";
import { lifetimeOf } from "../support/tokens.js";

let closing: (() => Promise<void>)[] = [];
beforeEach(() => {
  closing = [];
  return async () => {
    for (const close of closing.reverse()) await close();
  };
});

async function start(kind: LegacyKind): Promise<Flow> {
  const flow = await startFlow(kind);
  closing.push(() => flow.close());
  return flow;
}

async function bridged(flow: Flow, options: Partial<SessionBridgeOptions> & AppOptions = {}) {
  const app = await startBridgedApp(flow.database.pool, { config: flow.config, ...options });
  closing.push(() => app.close());
  return app;
}

/** Back to the application without the bridge. */
async function rolledBack(flow: Flow, browser: Browser): Promise<Browser> {
  const plain = await startPlainApp({ ...flow.config });
  closing.push(() => plain.close());
  return browser.clone({ baseUrl: plain.url });
}

async function upgraded(flow: Flow, app: RunningApp) {
  const browser = (await flow.login()).clone({ baseUrl: app.url });
  const { accessToken, refreshToken } = tokensOf(await browser.get("/set?at=upgrade"));
  return { browser, accessToken, refreshToken, by: bearer(accessToken) };
}

describe.each(legacyKinds)("An upgraded %s session", (kind) => {
  it("shows a change by either credential to the other", async () => {
    const flow = await start(kind);
    const app = await bridged(flow);
    const { browser, by } = await upgraded(flow, app);

    await browser.get("/set?a=cookie&b=cookie");
    expect((await browser.get("/whoami", by)).body.session).toEqual({
      userId: "user-1",
      at: "upgrade",
      a: "cookie",
      b: "cookie",
    });
    await browser.get("/set?b=bearer&c=bearer", by);
    const expected = { userId: "user-1", at: "upgrade", a: "cookie", b: "bearer", c: "bearer" };
    expect((await browser.get("/whoami")).body.session).toEqual(expected);
    expect((await browser.get("/whoami", by)).body.session).toEqual(expected);
    expect((await flow.rows("sessionStore"))[0].data).toEqual(expected);
  });

  it.each(["cookie", "bearer"])("replaced by %s is replaced for both", async (credential) => {
    const flow = await start(kind);
    const app = await bridged(flow);
    const { browser, by } = await upgraded(flow, app);

    await browser.get("/login?user=user-2", credential === "bearer" ? by : {});

    expect((await browser.get("/whoami")).body.session).toEqual({ userId: "user-2" });
    expect((await browser.get("/whoami", by)).body.session).toEqual({ userId: "user-2" });
    expect(await flow.loggedIn()).toBe(1);
  });

  it("is an alias of the cookie for the linger after adoption, then retired", async () => {
    const flow = await start(kind);
    const clock = new TestClock();
    const app = await bridged(flow, { clock: clock.now, cookieLingerInSeconds: 600 });
    const adopted: unknown[] = [];
    app.bridge.on("adopted", (event) => adopted.push(event));
    const { browser, by } = await upgraded(flow, app);
    clock.advance(599);
    await browser.get("/whoami", by);
    await browser.get("/whoami", by);
    expect(adopted).toHaveLength(1);

    clock.advance(599);
    const alias = await browser.get("/set?by=cookie");
    expect(alias.body.session.userId).toBe("user-1");
    expect(tokensOf(alias).accessToken).toBeUndefined();
    clock.advance(2);
    const retired = await browser.clone().get("/whoami");
    expect(retired.body).toEqual({ session: {}, isNew: true });

    const { legacyCookies } = app.counts();
    expect(Object.values(legacyCookies)[0]).toMatchObject({ retired: 1 });
    const [session] = await flow.rows("sessionStore");
    expect(session).toMatchObject({ revokedAt: null, data: { userId: "user-1", by: "cookie" } });
  });

  it("is adopted by a refresh as well", async () => {
    const flow = await start(kind);
    const clock = new TestClock();
    const app = await bridged(flow, { clock: clock.now, cookieLingerInSeconds: 600 });
    const { browser, refreshToken } = await upgraded(flow, app);
    const refreshed = await browser.post("/session/refresh", {
      body: { refresh_token: refreshToken },
    });
    expect(refreshed.status).toBe(200);
    expect(tokensOf(await browser.get("/whoami")).accessToken).toBeUndefined();
    clock.advance(600);
    expect((await browser.get("/whoami")).body.session).toEqual({});
  });

  it("gives its tokens the lifetime that a handler gave the session by cookie", async () => {
    const flow = await start(kind);
    const app = await bridged(flow, {
      handlers: { "/remember": (ctx) => (ctx.session.maxAge = 3_600_000) },
    });
    const { browser, refreshToken } = await upgraded(flow, app);
    expect(lifetimeOf(refreshToken!)).toBeGreaterThan(3_600);

    await browser.get("/remember");

    expect((await flow.rows("sessionStore"))[0].maxAgeInSeconds).toBe(3_600);
    const { body } = await browser.post("/session/refresh", {
      body: { refresh_token: refreshToken },
    });
    expect(lifetimeOf(body.refresh_token as string)).toBe(3_600);
  });
});

describe("The old store", () => {
  it.each(["cookie", "bearer"])(
    "is fresh after a commit by %s, so that a rollback goes on from there",
    async (credential) => {
      const flow = await start("store");
      const app = await bridged(flow);
      const { browser, by } = await upgraded(flow, app);
      const before = (await flow.store.get(storeKeyOf(browser))) as object;

      await browser.get("/set?late=1", credential === "bearer" ? by : {});

      const after = await flow.store.get(storeKeyOf(browser));
      expect(after).toEqual({
        ...before,
        late: "1",
        _maxAge: 86_400_000,
        _expire: expect.any(Number) as number,
      });
      const plain = await rolledBack(flow, browser);
      const expected = { userId: "user-1", at: "upgrade", late: "1" };
      expect((await plain.get("/whoami")).body.session).toEqual(expected);
      expect((await plain.get("/count")).body.session).toEqual({ ...expected, count: 1 });
    },
  );

  it.each(["cookie", "bearer"])("has nothing after a logout by %s", async (credential) => {
    const flow = await start("store");
    const app = await bridged(flow);
    const { browser, by } = await upgraded(flow, app);
    const plain = await rolledBack(flow, browser);

    const response = await browser.get("/logout", credential === "bearer" ? by : {});

    expect(response.setCookie[0]).toContain("expires=Thu, 01 Jan 1970");
    expect(await flow.store.get(storeKeyOf(plain))).toBeUndefined();
    expect((await plain.get("/whoami")).body.session).toEqual({});
  });

  it("is written through by the session store as well", async () => {
    const flow = await start("store");
    const app = await bridged(flow);
    const { browser, accessToken } = await upgraded(flow, app);
    const { sessions } = app.bridge;

    const session = (await sessions.get(accessToken!))!;
    session.data["role"] = "admin";
    const updated = await sessions.update(session);
    expect(await flow.store.get(storeKeyOf(browser))).toMatchObject({ role: "admin" });

    await sessions.invalidate(updated);
    expect(await flow.store.get(storeKeyOf(browser))).toBeUndefined();
  });

  it("is left as it is where writeThrough is false, but for a logout", async () => {
    const flow = await start("store");
    const app = await bridged(flow, { writeThrough: false });
    const browser = (await flow.login()).clone({ baseUrl: app.url });
    const key = storeKeyOf(browser);
    const before = await flow.store.get(key);
    const { accessToken } = tokensOf(await browser.get("/whoami"));

    await browser.get("/set?by=cookie");
    await browser.get("/set?by=bearer", bearer(accessToken));

    expect((await browser.get("/whoami")).body.session).toEqual({ userId: "user-1", by: "bearer" });
    expect(await flow.store.get(key)).toEqual(before);
    await browser.get("/logout", bearer(accessToken));
    expect(await flow.store.get(key)).toBeUndefined();
  });

  it("is not written in mode tokens, and goes on from the tokens after a rollback to bridge", async () => {
    const flow = await start("store");
    let mode: Mode = "bridge";
    const app = await bridged(flow, { mode: () => mode });
    const { browser, by } = await upgraded(flow, app);
    const key = storeKeyOf(browser);
    const before = await flow.store.get(key);
    const inTheMeantime = browser.clone();

    mode = "tokens";
    expect((await browser.get("/set?late=1", by)).status).toBe(200);
    const dropped = await browser.get("/whoami");
    expect(dropped.body.session).toEqual({});
    expect(dropped.setCookie[0]).toContain("expires=Thu, 01 Jan 1970");
    expect(await flow.store.get(key)).toEqual(before);

    mode = "bridge";
    const back = await inTheMeantime.get("/whoami");
    expect(back.body.session).toEqual({ userId: "user-1", at: "upgrade", late: "1" });
  });
});

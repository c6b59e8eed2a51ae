import { describe, expect, it, vi } from "vitest";
import { bearer, startBridgedApp, startPlainApp, tokensOf } from "../support/app.js";
import { TestClock } from "../support/clock.js";
import {
  cookieName,
  storeKeyOf,
  type LegacyKind,
  legacyKinds,
  startFlow,
  withCluster,
} from "../support/flow.js";

const commits = 100;
const positions = [0, 33, 66, 99];

// Two cores may have other work to do.
vi.setConfig({ testTimeout: 180_000 });

describe.each(legacyKinds)(`A %s session among whose ${commits} commits is a logout`, (kind) => {
  const running = withCluster(kind);

  it.each([
    ["cookie", "both credentials"],
    ["cookie", "cookie"],
    ["bearer", "both credentials"],
    ["bearer", "bearer"],
  ])("by %s, the commits by %s: it is dead and stays dead", async (logout, by) => {
    const { flow, on } = running;
    const isBearer = (index: number) =>
      by === "bearer" || (by === "both credentials" && index % 2 === 0);
    for (const position of positions) {
      const browser = await flow.login();
      const upgraded = await on(browser, 0).get("/whoami");
      const { accessToken, refreshToken } = tokensOf(upgraded);
      const key = storeKeyOf(browser);

      const responses = await Promise.all(
        Array.from({ length: commits }, (_, index) => {
          const tab = on(browser, index);
          if (index === position) {
            return tab.get("/logout", logout === "bearer" ? bearer(accessToken) : {});
          }
          return tab.get(`/set?key${index}=1`, isBearer(index) ? bearer(accessToken) : {});
        }),
      );

      expect(responses[position]!.status).toBe(200);
      expect(responses.filter(({ status }) => status >= 500)).toEqual([]);
      for (const round of [1, 2]) {
        for (const path of ["/whoami", `/set?again=${round}`]) {
          expect((await on(browser, round).get(path, bearer(accessToken))).status).toBe(401);
          const byCookie = await on(browser, round).get(path);
          expect(byCookie.body.session).not.toHaveProperty("userId");
          expect(tokensOf(byCookie).accessToken).not.toBe(accessToken);
        }
      }
      const refreshed = await on(browser, 3).post("/session/refresh", {
        body: { refresh_token: refreshToken },
      });
      expect(refreshed.status).toBe(401);
      expect(await flow.loggedIn()).toBe(0);
      if (kind === "store") expect(await flow.store.get(key)).toBeUndefined();
    }
  });
});

describe.each(legacyKinds)("A %s session that is logged out as it is first seen", (kind) => {
  const running = withCluster(kind);

  it("is dead whatever came first, and so is every pair that was offered", async () => {
    const { flow, on } = running;
    for (let round = 0; round < 20; round += 1) {
      const browser = await flow.login();
      const key = storeKeyOf(browser);
      const responses = await Promise.all(
        Array.from({ length: 20 }, (_, index) => {
          if (index === round) return on(browser, index).get("/logout");
          return on(browser, index).get(index % 2 === 0 ? "/whoami" : `/set?key${index}=1`);
        }),
      );

      expect(responses.filter(({ status }) => status >= 500)).toEqual([]);
      expect(await flow.loggedIn()).toBe(0);
      for (const path of ["/whoami", "/set?again=1"]) {
        const later = await on(browser, round).get(path);
        expect(later.body.session).not.toHaveProperty("userId");
      }
      const offered = responses
        .filter(({ body }) => body.session?.userId !== undefined)
        .map((response) => tokensOf(response).accessToken);
      for (const accessToken of new Set(offered.filter((token) => token !== undefined))) {
        expect((await on(browser, 0).get("/whoami", bearer(accessToken))).status).toBe(401);
      }
      if (kind === "store") expect(await flow.store.get(key)).toBeUndefined();
    }
  });
});

async function startSingle(kind: LegacyKind) {
  const flow = await startFlow(kind);
  const app = await startBridgedApp(flow.database.pool, { config: flow.config });
  const browser = (await flow.login()).clone({ baseUrl: app.url });
  return {
    flow,
    app,
    browser,
    close: async () => {
      await app.close();
      await flow.close();
    },
  };
}

describe("A data cookie", () => {
  it.each(["cookie", "bearer"])("is refused when replayed after a logout by %s", async (by) => {
    const { flow, app, browser, close } = await startSingle("cookie");
    const withoutId = (await flow.loginBefore()).clone({ baseUrl: app.url });
    const { accessToken } = tokensOf(await browser.get("/count"));
    const stolen = browser.clone();

    await browser.get("/logout", by === "bearer" ? bearer(accessToken) : {});

    for (const path of ["/whoami", "/count", "/whoami"]) {
      expect((await stolen.clone().get(path)).body.session).not.toHaveProperty("userId");
    }
    expect(await flow.loggedIn()).toBe(0);
    // Another login of the same user goes on.
    expect((await withoutId.get("/whoami")).body.session).toEqual({ userId: "user-1" });
    await close();
  });

  it.each([0, 60])(
    "without an id is refused when replayed after a logout %i s after it was first seen",
    async (seconds) => {
      const flow = await startFlow("cookie");
      const clock = new TestClock();
      const app = await startBridgedApp(flow.database.pool, { config: {}, clock: clock.now });
      const browser = (await flow.loginBefore()).clone({ baseUrl: app.url });
      const stolen = browser.clone();
      if (seconds > 0) await browser.get("/whoami");
      clock.advance(seconds);

      await browser.get("/logout");

      expect(browser.cookies.has(cookieName)).toBe(false);
      expect((await stolen.clone().get("/whoami")).body).toEqual({ session: {}, isNew: true });
      expect((await stolen.get("/count")).body.session).toEqual({ count: 1 });
      expect(await flow.loggedIn()).toBe(0);
      await app.close();
      await flow.close();
    },
  );

  it("is refused after a logout though a middleware above has looked at it", async () => {
    const flow = await startFlow("cookie");
    const app = await startBridgedApp(flow.database.pool, {
      above: async (ctx, next) => {
        void ctx.session?.userId;
        await next();
      },
      config: {},
    });
    const browser = (await flow.login()).clone({ baseUrl: app.url });
    const stolen = browser.clone();
    await browser.get("/logout");

    for (const path of ["/whoami", "/count"]) {
      expect((await stolen.clone().get(path)).body.session).not.toHaveProperty("userId");
    }
    expect(await flow.loggedIn()).toBe(0);
    await app.close();
    await flow.close();
  });
});

describe.each(legacyKinds)("A login with a %s session", (kind) => {
  it("leaves nothing alive when the handler takes it back", async () => {
    const flow = await startFlow(kind);
    const app = await startBridgedApp(flow.database.pool, {
      config: flow.config,
      handlers: {
        "/login-and-out": async (ctx) => {
          ctx.session = { userId: "user-1" };
          await ctx.session.manuallyCommit();
          ctx.session = null;
        },
      },
    });
    const browser = app.browser();

    const { status, ...response } = await browser.get("/login-and-out");

    expect(status).toBe(200);
    expect(tokensOf(response).accessToken).toBeUndefined();
    expect(await flow.loggedIn()).toBe(0);
    expect((await browser.get("/whoami")).body.session).toEqual({});
    await app.close();
    await flow.close();
  });
});

describe("The old store", () => {
  it.each(["cookie", "bearer"])(
    "has no row of a session that was logged out as a commit by %s was written through",
    async (by) => {
      const { flow, app, browser, close } = await startSingle("store");
      const { accessToken } = tokensOf(await browser.get("/whoami"));
      const key = storeKeyOf(browser);
      // The write of the commit reaches the old store after the logout has emptied it.
      const { store } = flow;
      const set = store.set.bind(store);
      store.set = async (...args) => {
        store.set = set;
        await browser.clone().get("/logout");
        await set(...args);
      };

      await browser.clone().get("/set?late=1", by === "bearer" ? bearer(accessToken) : {});

      expect(await store.get(key)).toBeUndefined();
      const plain = await startPlainApp({ ...flow.config });
      const afterRollback = await browser.clone({ baseUrl: plain.url }).get("/whoami");
      expect(afterRollback.body.session).toEqual({});
      expect(app.errors).toEqual([]);
      await plain.close();
      await close();
    },
  );
});

// An application may end its session by the store that koa-session was given, without its context.
it("A session that a handler destroys in the store is dead for its tokens as well", async () => {
  const flow = await startFlow("store");
  const app = await startBridgedApp(flow.database.pool, {
    config: flow.config,
    handlers: {
      "/destroy": async (ctx) => {
        const { store } = ctx["sessionOptions"] as { store: { destroy(key: string): unknown } };
        await store.destroy(storeKeyOf(browser));
        ctx.body = {};
      },
    },
  });
  const browser = (await flow.login()).clone({ baseUrl: app.url });
  const { accessToken } = tokensOf(await browser.get("/whoami"));
  expect((await browser.get("/destroy")).status).toBe(200);
  expect((await browser.get("/whoami")).body.session).toEqual({});
  expect((await app.browser().get("/whoami", bearer(accessToken))).status).toBe(401);
  await app.close();
  await flow.close();
});

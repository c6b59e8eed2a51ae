import { describe, expect, it } from "vitest";
import { bearer, tokensOf } from "../support/app.js";
import { named, namedSystems, oldSystems } from "../support/systems/index.js";
import { flowsOfTest } from "../support/systems/system-flow.js";
import { whoami } from "../support/tokens.js";

const start = flowsOfTest();
const writing = named(oldSystems.filter(({ isReadOnly }) => !isReadOnly));
const readOnly = named(oldSystems.filter(({ isReadOnly }) => isReadOnly));

describe.each(namedSystems)("A session of %s, rolled back", (_, system) => {
  it("from bridge to observe and to the plain application loses nothing", async () => {
    const flow = await start(system);
    const app = await flow.bridged();
    const observing = await flow.bridged({ mode: "observe" });
    const { browser, pair } = await flow.upgraded(app);
    await browser.get("/set?by=cookie");
    await browser.get("/set?via=bearer", bearer(pair.accessToken));
    const inBridge = { userId: "user-1", by: "cookie", via: "bearer" };

    // The same cookies everywhere, as in a browser.
    const observed = browser.clone({ shared: true, baseUrl: observing.url });
    const first = await observed.get("/whoami");
    expect(first.body.session).toEqual(inBridge);
    expect(tokensOf(first).accessToken).toBeUndefined();
    expect((await whoami(observing.url, pair)).body.session).toEqual(inBridge);
    const inObserve = { ...inBridge, at: "observe" };
    expect((await observed.get("/set?at=observe")).body.session).toEqual(inObserve);
    expect((await whoami(app.url, pair)).body.session).toEqual(inObserve);
    expect((await browser.get("/whoami")).body.session).toEqual(inObserve);

    const plain = browser.clone({ shared: true, baseUrl: flow.plain.url });
    // The data of a cookie that nobody may write is as old as the cookie.
    const hasStaleCookie = system.isReadOnly && !system.hasStore;
    const inPlain = hasStaleCookie ? { userId: "user-1" } : inObserve;
    expect((await plain.get("/whoami")).body.session).toEqual(inPlain);
    expect((await plain.get("/count")).body.session).toEqual({ ...inPlain, count: 1 });
    if (system.hasStore) {
      const rows = (await flow.application.rows()).map(({ data }) => data);
      expect(rows).toEqual([{ ...inPlain, count: 1 }]);
    }
    for (const { errors, bridgeErrors } of [app, observing]) {
      expect([...errors, ...bridgeErrors]).toEqual([]);
    }
  });

  it("that only observe has seen is as it was, and no token session", async () => {
    const flow = await start(system);
    const observing = await flow.bridged({ mode: "observe" });
    const browser = (await flow.loginBefore()).clone({ baseUrl: observing.url });
    const cookies = new Map(browser.cookies);

    for (const path of ["/whoami", "/untouched", "/whoami"]) {
      expect((await browser.get(path)).setCookie).toEqual([]);
    }

    expect(browser.cookies).toEqual(cookies);
    expect(await flow.tableRows("sessionStore")).toEqual([]);
    expect(await flow.tableRows("sessionBridgeLink")).toEqual([]);
    const plain = browser.clone({ baseUrl: flow.plain.url });
    expect((await plain.get("/whoami")).body.session).toEqual({ userId: "user-1" });
  });
});

describe.each(writing)("A login with %s at the bridge", (_, system) => {
  it.each(["observe", "bridge"] as const)(
    "in %s is open after a rollback to the plain application",
    async (mode) => {
      const flow = await start(system);
      const app = await flow.bridged({ mode });
      const browser = app.browser();
      await browser.get("/login?user=user-9");
      await browser.get("/set?more=1");

      expect([...browser.cookies.keys()].sort()).toEqual([...system.cookieNames].sort());
      const plain = browser.clone({ baseUrl: flow.plain.url });
      const expected = { userId: "user-9", more: "1" };
      expect((await plain.get("/whoami")).body.session).toEqual(expected);
      expect(await flow.loggedIn()).toBe(mode === "bridge" ? 1 : 0);
    },
  );
});

describe.each(readOnly)("%s, which the bridge does not write,", (_, system) => {
  it("gives a new session tokens and no cookie", async () => {
    const flow = await start(system);
    const app = await flow.bridged();
    const browser = app.browser();

    const response = await browser.get("/login?user=user-9");

    expect(response.setCookie).toEqual([]);
    const { accessToken } = tokensOf(response);
    const byBearer = await browser.get("/count", bearer(accessToken));
    expect(byBearer.body.session).toEqual({ userId: "user-9", count: 1 });
    expect((await browser.get("/whoami")).body.session).toEqual({});
    expect(await flow.application.rows()).toEqual([]);
    expect(await flow.loggedIn()).toBe(1);
  });

  it("has a session that is changed become a token session at once", async () => {
    const flow = await start(system);
    const app = await flow.bridged();
    const browser = (await flow.loginBefore()).clone({ baseUrl: app.url });

    const response = await browser.get("/set?theme=dark");

    const { accessToken } = tokensOf(response);
    const expected = { userId: "user-1", theme: "dark" };
    const byBearer = await app.browser().get("/whoami", bearer(accessToken));
    expect(byBearer.body.session).toEqual(expected);
    expect((await browser.get("/whoami")).body.session).toEqual(expected);
    expect((await flow.tableRows("sessionStore")).map(({ data }) => data as object)).toEqual([
      expected,
    ]);
  });

  it("has its changes in the old store in mode observe, if there is one", async () => {
    const flow = await start(system);
    const app = await flow.bridged({ mode: "observe" });
    const browser = (await flow.loginBefore()).clone({ baseUrl: app.url });

    await browser.get("/set?theme=dark");

    const rows = await flow.application.rows();
    expect(rows.map(({ data }) => data)).toEqual(
      system.hasStore ? [{ userId: "user-1", theme: "dark" }] : [],
    );
    if (system.hasStore) expect(await flow.tableRows("sessionStore")).toEqual([]);
    const plain = browser.clone({ baseUrl: flow.plain.url });
    expect((await plain.get("/whoami")).body.session).toMatchObject({ userId: "user-1" });
  });
});

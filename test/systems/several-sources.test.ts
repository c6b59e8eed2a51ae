import { describe, expect, it } from "vitest";
import { bearer, type RunningApp, type startBridgedApp, tokensOf } from "../support/app.js";
import type { Browser } from "../support/client.js";
import { compasSystem } from "../support/systems/compas.js";
import { koaSessionSystem } from "../support/systems/koa-session.js";
import {
  cookiesOf,
  hit,
  loggedIn,
  type Old,
  sessionOf,
  SeveralSources,
} from "../support/systems/several-sources.js";
import { pairIn, whoami } from "../support/tokens.js";

const koa = koaSessionSystem("7");
const compas = compasSystem();
const on = new SeveralSources([koa, compas]);

/** koa-session and Compas in one application, which signs with keys of its own. */
async function koaFirst(): Promise<[first: Old, second: Old]> {
  return [await on.old(koa), await on.old(compas)];
}

/** The other way round: what Compas signs with in development signs all cookies. */
async function compasFirst(): Promise<[first: Old, second: Old]> {
  return [await on.old(compas), await on.old(koa, { keys: ["OldApp"] })];
}

const [ofKoa, ofCompas] = ["koa-session:koa.sess", "compas:oldapp.sess"] as const;
type Death = (browser: Browser, dying: Old, app: RunningApp) => Promise<unknown>;
const unknownId = "00000000-0000-4000-8000-00000000feed";

const deaths: Record<string, Death> = {
  "of an id that nobody knows": async ({ cookies }, { system }) => {
    for (const [name, value] of Object.entries(system.cookiesOfId!(unknownId))) {
      cookies.set(name, value);
    }
  },
  "that is forged": async ({ cookies }, { system }) => {
    cookies.set(system.cookieNames[0], unknownId);
  },
  "logged out by its token": async (browser, { system }, app) => {
    const alone = app.browser();
    for (const [name, value] of browser.cookies) {
      if (system.cookieNames.includes(name)) alone.cookies.set(name, value);
    }
    await app.browser().get("/logout", bearer(pairIn(await alone.get("/whoami")).accessToken));
  },
  "logged out at the application without the bridge": async (browser, { plain }) => {
    await browser.clone({ baseUrl: plain.url }).get("/logout");
  },
  "whose time is over": async () => {
    const over = `'{"_expire": 1000}'`;
    await on.pool.query(
      `update "session" set "data" = "data" || ${over} where "data"->>'userId' = 'dying'`,
    );
    await on.pool.query(
      `update "oldSession" set "value" = ("value"::jsonb || ${over})::json
      where "value"->>'userId' = 'dying'`,
    );
  },
};

describe.each([
  ["koa-session and Compas", koaFirst, ofKoa, ofCompas],
  ["Compas and koa-session", compasFirst, ofCompas, ofKoa],
] as const)("With cookies of %s", (_, make, first, second) => {
  /** A browser that is logged in as "one" by the first and "two" by the second. */
  async function visit(options?: Parameters<typeof startBridgedApp>[1]) {
    const olds = await make();
    const app = await on.bridged(olds, options);
    const browser = await loggedIn(app, { one: olds[0], two: olds[1] });
    return { olds, app, browser };
  }

  it("the first serves, and each request is one hit", async () => {
    const { app, browser } = await visit();
    for (const _ of ["not upgraded yet", "upgraded"]) {
      expect((await sessionOf(browser))["userId"]).toBe("one");
      expect(app.told.splice(0)).toEqual(hit(first));
    }
    const { legacyCookies, upgraded } = app.counts();
    expect(legacyCookies[first]).toMatchObject({ hit: 2 });
    expect(Object.values(legacyCookies[second]!)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(upgraded).toBe(1);
  });

  it.each(Object.entries(deaths))(
    "the first %s, leaves the request to the second",
    async (_, kill) => {
      const olds = await make();
      const [dying, living] = olds;
      const app = await on.bridged(olds);
      const browser = await loggedIn(app, { dying, living });
      await kill(browser, dying, app);
      app.told.splice(0);

      const response = await browser.get("/whoami");

      expect(response.body.session).toEqual({ userId: "living" });
      expect((await whoami(app.url, pairIn(response))).body.session).toEqual({ userId: "living" });
      expect(app.told).toEqual(hit(second));
      expect([...app.errors, ...app.bridgeErrors]).toEqual([]);
    },
  );

  it("both dead, the first is told of, and a login is the first one's", async () => {
    const { olds, app, browser } = await visit();
    for (const table of ["session", "oldSession"]) {
      await on.pool.query(`truncate "${table}"`);
    }
    expect(await sessionOf(browser)).toEqual({});
    expect(app.told).toEqual([["cookie", first, "missed"]]);

    const { set } = cookiesOf(await browser.get("/login?user=three"));
    expect(set.filter((name) => !olds[0].system.cookieNames.includes(name))).toEqual([]);
    expect(await olds[0].rows()).toMatchObject([{ data: { userId: "three" } }]);
    expect(await olds[1].rows()).toEqual([]);
  });

  it("a logout by token ends its own session, clears its own cookie, and the other serves", async () => {
    const { olds, app, browser } = await visit();
    const { accessToken } = pairIn(await browser.get("/whoami"));

    const response = await browser.get("/logout", bearer(accessToken));

    const [name, signature] = olds[0].system.cookieNames;
    expect(cookiesOf(response).cleared).toEqual(expect.arrayContaining([name, signature]));
    expect(await olds[0].rows()).toEqual([]);
    expect(await olds[1].rows()).toHaveLength(1);
    expect((await sessionOf(browser))["userId"]).toBe("two");
    expect(app.counts().legacyCookies).toMatchObject({
      [first]: { hit: 1, redundant: 1 },
      [second]: { hit: 1, redundant: 0 },
    });
  });

  it("a change by token is written through to the store that its session comes from", async () => {
    const { olds, app } = await visit();
    for (const [index, each] of olds.entries()) {
      const alone = await loggedIn(app, { [`alone-${index}`]: each });
      const pair = pairIn(await alone.get("/whoami"));
      await app.browser().get("/set?by=token", bearer(pair.accessToken));
      const changed = (await each.rows()).filter(({ data }) => data["by"] === "token");
      expect(changed).toMatchObject([{ data: { userId: `alone-${index}` } }]);
      const plain = alone.clone({ baseUrl: each.plain.url });
      expect(await sessionOf(plain)).toEqual({ userId: `alone-${index}`, by: "token" });
    }
    expect(app.bridgeErrors).toEqual([]);
  });

  it("drain upgrades the first and renews neither; a new session gets tokens alone", async () => {
    const { app, browser } = await visit({ mode: "drain" });
    const response = await browser.get("/count");
    expect(response.setCookie).toEqual([]);
    expect(response.body.session).toEqual({ userId: "one", count: 1 });
    expect((await whoami(app.url, pairIn(response))).body.session.count).toBe(1);

    const fresh = await app.browser().get("/login");
    expect(fresh.setCookie).toEqual([]);
    expect((await whoami(app.url, pairIn(fresh))).status).toBe(200);
  });

  it("mode tokens clears both and counts each as dropped", async () => {
    const { olds, app, browser } = await visit({ mode: "tokens" });

    const response = await browser.get("/whoami");

    expect(response.body.session).toEqual({});
    expect(cookiesOf(response).set).toEqual([]);
    expect([...browser.cookies.keys()]).toEqual([]);
    expect(app.told).toEqual([
      ["cookie", first, "dropped"],
      ["cookie", second, "dropped"],
    ]);
    expect(await olds[1].rows()).toHaveLength(1);
  });

  it("observe serves the first, and leaves no trace", async () => {
    const { app, browser } = await visit({ mode: "observe" });
    const response = await browser.get("/whoami");
    expect(response.body.session).toEqual({ userId: "one" });
    expect(tokensOf(response).accessToken).toBeUndefined();
    expect(response.setCookie).toEqual([]);
    expect(app.told).toEqual(hit(first));
    expect(await on.rows("sessionStore")).toEqual([]);
  });

  it("a new session gets the first one's cookie, signed as the application without the bridge does", async () => {
    const { olds, app } = await visit();
    const browser = app.browser();
    await browser.get("/login?user=new");
    expect([...browser.cookies.keys()].sort()).toEqual([...olds[0].system.cookieNames].sort());
    const plain = browser.clone({ baseUrl: olds[0].plain.url });
    expect(await sessionOf(plain)).toEqual({ userId: "new" });
  });
});

import { describe, expect, it } from "vitest";
import type { Mode } from "../../src/index.js";
import { bearer, type Handler, type RunningApp, tokensOf } from "../support/app.js";
import type { Browser } from "../support/client.js";
import { cookieSessionSystem } from "../support/systems/cookie-session.js";
import { expressSessionSystem } from "../support/systems/express-session.js";
import { koaGenericSessionSystem } from "../support/systems/koa-generic-session.js";
import { koaSessionMinimalSystem } from "../support/systems/koa-session-minimal.js";
import { koaSessionSystem } from "../support/systems/koa-session.js";
import type { OldSystem, Settings } from "../support/systems/old-system.js";
import {
  cookiesOf,
  hit,
  loggedIn,
  type Old,
  sessionOf,
  SeveralSources,
} from "../support/systems/several-sources.js";
import { pairIn } from "../support/tokens.js";

const koa = koaSessionSystem("7");
const on = new SeveralSources([koa, expressSessionSystem]);
const page = { headers: { "sec-fetch-dest": "document", "sec-fetch-mode": "navigate" } };
const script = { headers: { "sec-fetch-dest": "empty", "sec-fetch-mode": "cors" } };

/** Gives a browser a cookie that opens nothing. */
type Plant = (browser: Browser, dead: Old) => Promise<unknown>;
type Death = [name: string, system: OldSystem, outcome: string, plant: Plant, settings?: Settings];

const put = async (browser: Browser, cookies: Iterable<[string, string]>) => {
  for (const [name, value] of cookies) browser.cookies.set(name, value);
};
const loginAt = async (old: Old) => (await loggedIn(old.plain as RunningApp, { one: old })).clone();

// express-session does not clear its cookie at a logout.
const loggedOut: Plant = async (browser, dead) => {
  const { cookies } = await loginAt(dead);
  const kept = [...cookies];
  await on.pool.query(`delete from "session"`);
  await put(browser, kept);
};
const expired: Plant = async (browser, dead) => {
  const { cookies } = await loginAt(dead);
  await on.pool.query(`update "session" set "expire" = now() - interval '1 minute'`);
  await put(browser, cookies);
};
const forged: Plant = (browser, { system }) =>
  put(browser, [[system.cookieNames[0], "s:made-up.of-nobody"]]);
const loggedOutByBridge: Plant = async (browser, dead) => {
  const { cookies } = await loginAt(dead);
  const app = await on.bridged([dead]);
  const elsewhere = app.browser();
  await put(elsewhere, cookies);
  await elsewhere.get("/logout");
  await put(browser, cookies);
};

const beside: Settings = { options: { isInSameDatabase: true } };
const deaths: Death[] = [
  ["express-session, logged out", expressSessionSystem, "missed", loggedOut],
  [
    "express-session, logged out, read with its link",
    expressSessionSystem,
    "missed",
    loggedOut,
    beside,
  ],
  ["express-session, expired", expressSessionSystem, "missed", expired],
  ["express-session, forged", expressSessionSystem, "unverified", forged],
  ["cookie-session, logged out", cookieSessionSystem, "missed", loggedOutByBridge],
  ["cookie-session, forged", cookieSessionSystem, "unverified", forged],
];

describe.each(deaths)("Beside a dead cookie of %s,", (_, system, outcome, plant, settings) => {
  const nameOf = (dead: Old) => dead.source().name;

  const logins: [mode: Mode, by: string, request: typeof page, hasTokens: boolean][] = [
    ["bridge", "page load", page, false],
    ["bridge", "script", script, true],
    ["observe", "page load", page, false],
    ["observe", "script", script, false],
  ];
  it.each(logins)(
    "a login in %s by %s is koa-session's own",
    async (mode, _, request, hasTokens) => {
      const [writing, dead] = [await on.old(koa), await on.old(system, settings)];
      const app = await on.bridged([writing, dead], { mode });
      const browser = app.browser();
      await plant(browser, dead);
      app.told.splice(0);

      const response = await browser.get("/login?user=new", request);

      expect(cookiesOf(response).set).toEqual([...koa.cookieNames].sort());
      expect(tokensOf(response).accessToken !== undefined).toBe(hasTokens);
      expect(app.told).toEqual([["cookie", nameOf(dead), outcome]]);
      expect(await sessionOf(browser)).toEqual({ userId: "new" });
      expect(await sessionOf(browser.clone({ baseUrl: writing.plain.url }))).toEqual({
        userId: "new",
      });
      expect([...app.errors, ...app.bridgeErrors]).toEqual([]);
    },
  );

  it.each<Mode>(["observe", "bridge", "drain"])(
    "which comes first, a session of koa-session serves in %s",
    async (mode) => {
      const [dead, living] = [await on.old(system, settings), await on.old(koa)];
      const app = await on.bridged([dead, living], { mode });
      const browser = await loggedIn(app, { living });
      await plant(browser, dead);
      app.told.splice(0);

      expect((await browser.get("/whoami")).body.session).toEqual({ userId: "living" });

      expect(app.told).toEqual(hit("koa-session:koa.sess"));
    },
  );
});

describe("With two sources of koa-session", () => {
  // As a middleware for logs does.
  const above: NonNullable<Parameters<typeof on.bridged>[1]>["above"] = (ctx, next) => {
    void ctx.session;
    return next();
  };
  it.each([
    ["a store", true],
    ["its data in the cookie", false],
  ])(
    "users of the second, with %s, stay logged in when ctx.session was read",
    async (_, hasStore) => {
      const second = koaSessionSystem("7", { hasStore });
      const olds = {
        first: await on.old(koa, { options: { key: "first.sess" } }),
        second: await on.old(second, { options: { key: "second.sess" } }),
      };
      for (const mode of ["observe", "bridge", "drain"] as const) {
        const app = await on.bridged(Object.values(olds), { mode, above });
        for (const [user, old] of Object.entries(olds)) {
          const browser = await loggedIn(app, { [user]: old });
          expect(await sessionOf(browser)).toEqual({ userId: user });
          expect((await browser.get("/count")).body.session).toEqual({ userId: user, count: 1 });
        }
        expect([...app.errors, ...app.bridgeErrors]).toEqual([]);
      }
    },
  );
});

describe("By a token of koa-session's, beside", () => {
  const minimal: Settings = { options: { key: "minimal.sess" } };
  const deferred: Settings = { options: { key: "generic.sess", defer: true } };
  const raw: Handler = (ctx) => {
    ctx.body = { user: ctx.session.userId as unknown };
  };
  const empty: Handler = (ctx) => {
    ctx.session = {};
    ctx.body = {};
  };

  it.each([
    ["koa-session-minimal, an emptied session is not at an end", koaSessionMinimalSystem, minimal],
    [
      "koa-generic-session with defer, ctx.session is no promise",
      koaGenericSessionSystem,
      deferred,
    ],
  ] as const)("%s", async (_, system, settings) => {
    for (const order of ["first", "last"]) {
      const olds = [await on.old(koa), await on.old(system, settings)];
      if (order === "last") olds.reverse();
      const app = await on.bridged(olds, { handlers: { "/raw": raw, "/empty": empty } });
      const browser = await loggedIn(app, { "koa-session": olds[order === "first" ? 0 : 1]! });
      const { accessToken } = pairIn(await browser.get("/whoami"));
      const ask = (path: string) => app.browser().get(path, bearer(accessToken));

      expect((await ask("/raw")).body).toEqual({ user: "koa-session" });
      await ask("/empty");

      expect((await ask("/whoami")).status).toBe(200);
    }
  });
});

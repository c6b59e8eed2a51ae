import type { Context } from "koa";
import { describe, expect, it } from "vitest";
import type { Mode } from "../../src/index.js";
import { bearer, type Handler, tokensOf } from "../support/app.js";
import { minimalHandlers } from "../support/systems/koa-session-minimal.js";
import { pass, sideBySideOfTest } from "../support/systems/side-by-side.js";
import { minimal, type Side } from "../support/systems/variants.js";
import {
  pairIn,
  pairInBody,
  refresh,
  sessionIdOf,
  type Tokens,
  whoami,
} from "../support/tokens.js";

const tests = sideBySideOfTest();
const login = "/login?user=ada";
const user = { userId: "ada" };
const hour = 60 * 60 * 1000;

const handlers: Record<string, Handler> = {
  ...minimalHandlers,
  "/end": (ctx) => {
    ctx.session = { "{}": {}, undefined, text: "text" }[String(ctx.query["by"])] ?? null;
    ctx.body = {};
  },
  "/empty": (ctx) => {
    for (const name of Object.keys(ctx.session as object)) delete ctx.session[name];
    ctx.body = {};
  },
  "/raw": (ctx) => {
    ctx.body = { raw: ctx.session as unknown };
  },
  "/regenerate-unread": (ctx) => {
    ctx["sessionHandler"].regenerateId();
    ctx.body = {};
  },
};

const start = (configure?: (side: Side) => object, options: object = {}) =>
  tests.start(minimal(configure), { handlers, ...options });

async function startUpgraded(configure?: (side: Side) => object, options: object = {}) {
  const { bridged } = await start(configure, options);
  const pair = pairIn(await bridged.browser.get(login));
  const ask = (path: string, by: Tokens = pair) =>
    bridged.app.browser().get(path, bearer(by.accessToken));
  return { ...bridged, pair, ask };
}

const alive = async () =>
  (
    await tests.database.pool.query<{ data: unknown }>(
      `select "data" from "sessionStore" where "revokedAt" is null`,
    )
  ).rows.map(({ data }) => data);

const valuesOf = ({ store }: Side) => [...store.entries.values()];

/** Answers as stores did before async functions. */
const generatorStore = ({ client }: Side) => ({
  *get(key: string): Generator {
    try {
      yield Promise.reject(new Error("the first of two servers is away"));
    } catch {
      const [value] = (yield [client.get(key)]) as unknown[];
      return value;
    }
  },
  *set(key: string, value: unknown, ttl: number): Generator {
    yield (done: (error: unknown) => void) => void client.set(key, value, ttl).then(done, done);
  },
  *destroy(key: string): Generator {
    yield (function* inner(): Generator {
      yield client.destroy(key);
    })();
  },
});

const cookieOf = (ctx: Context & { session?: any }) => ({
  maxAge: ctx.session.theme === undefined ? hour : 2 * hour,
});

describe("Of koa-session-minimal's options", () => {
  const visits = [login, "/raw", "/set?theme=dark", "/untouched", "/regenerate", "/raw", "/logout"];
  type Row = [option: string, configure: (side: Side) => object];
  const options: Row[] = [
    ["none", () => ({})],
    ["key", () => ({ key: "other" })],
    ["cookie", () => ({ cookie: { maxAge: 0, path: "/", domain: "127.0.0.1", httpOnly: false } })],
    ["cookie as a function of ctx.session", () => ({ cookie: cookieOf })],
    ["store with generators and thunks", (side) => ({ store: generatorStore(side) })],
  ];

  it.each(options)("%s is as with the package alone", async (_, configure) => {
    const both = await start(configure);
    for (const path of visits) {
      expect((await both.get(path)).status).toBe(200);
      pass(1000);
    }
    expect(both.bridged.app.errors).toEqual([]);
    expect(both.bridged.app.bridgeErrors).toEqual([]);
  });

  it.each(options)("%s leaves a session that tokens open, change and end", async (_, configure) => {
    const both = await start(configure);
    await both.plain.browser.get(login);
    const browser = both.moved();
    const pair = pairIn(await browser.get("/whoami"));
    const { url } = both.bridged.app;

    const changed = await both.bridged.app.browser().get("/set?a=1", bearer(pair.accessToken));
    expect(changed.body.session).toEqual({ ...user, a: "1" });
    expect(valuesOf(both.bridged.side)).toEqual([{ ...user, a: "1" }]);
    // By bearer, with the cookie beside it.
    const ended = await browser.get("/logout", bearer(pair.accessToken));

    expect(ended.status).toBe(200);
    expect([...browser.cookies.keys()]).toEqual([]);
    expect((await whoami(url, pair)).status).toBe(401);
    expect(both.bridged.side.rows()).toEqual([]);
    expect(both.bridged.app.bridgeErrors).toEqual([]);
  });

  it("cookie as a function decides how long an upgraded session lives, and its row", async () => {
    const { browser, app, side, pair, ask } = await startUpgraded(() => ({ cookie: cookieOf }));
    const kept = app.browser();
    for (const [name, value] of browser.cookies) kept.cookies.set(name, value);

    pass(hour - 1000);
    expect((await kept.clone().get("/whoami")).body.session).toEqual(user);
    const fresh = pairInBody(await refresh(app.url, pair.refreshToken));
    await ask("/set?a=1", fresh);
    expect(side.rows()[0]?.slice(1)).toEqual([{ ...user, a: "1" }, 1000]);
    await kept.clone().get("/set?theme=dark");
    expect(side.rows()[0]?.slice(1)).toEqual([{ ...user, a: "1", theme: "dark" }, 2 * hour]);
    pass(2 * hour - 1000);
    expect((await kept.clone().get("/whoami")).body.session.userId).toBe("ada");
    pass(1000);

    expect((await kept.get("/whoami")).body.session).toEqual({});
    expect(await alive()).toHaveLength(1);
  });
});

describe("regenerateId of koa-session-minimal", () => {
  it.each(["/regenerate", "/regenerate-unread"])(
    "by cookie ends the old id and its tokens, at %s",
    async (path) => {
      const { browser, app, pair } = await startUpgraded();
      const stolen = browser.clone();

      const next = pairIn(await browser.get(path));

      expect(sessionIdOf(next.accessToken)).not.toBe(sessionIdOf(pair.accessToken));
      expect((await browser.get("/whoami")).body.session).toEqual(user);
      expect((await whoami(app.url, next)).body.session).toEqual(user);
      expect((await whoami(app.url, pair)).status).toBe(401);
      expect((await stolen.get("/whoami")).body.session).toEqual({});
      expect(await alive()).toEqual([user]);
    },
  );

  it.each(["/regenerate", "/regenerate-unread"])(
    "by bearer hands out new tokens and ends the old ones, at %s",
    async (path) => {
      const { browser, pair, ask, side } = await startUpgraded();

      const next = pairIn(await ask(path));

      expect(sessionIdOf(next.accessToken)).not.toBe(sessionIdOf(pair.accessToken));
      expect((await ask("/whoami", next)).body.session).toEqual(user);
      expect((await ask("/whoami")).status).toBe(401);
      expect((await browser.get("/whoami")).body.session).toEqual({});
      expect(side.rows()).toEqual([]);
      expect(await alive()).toEqual([user]);
    },
  );
});

describe("A session of koa-session-minimal", () => {
  const ends = ["/end?by=null", "/end?by={}", "/end?by=undefined", "/end?by=text", "/empty"];

  it.each(ends)(
    "ends by cookie at %s as with the package alone, and its tokens do",
    async (path) => {
      const both = await start();
      const pair = pairIn(await both.get(login));

      const { setCookie } = await both.get(path);

      expect(setCookie).toHaveLength(1);
      expect(both.bridged.side.rows()).toEqual([]);
      expect((await whoami(both.bridged.app.url, pair)).status).toBe(401);
    },
  );

  it.each(ends)("ends by bearer at %s, and its cookie and row do", async (path) => {
    const { ask, browser, side } = await startUpgraded();

    expect((await ask(path)).status).toBe(200);

    expect((await ask("/whoami")).status).toBe(401);
    expect((await browser.get("/whoami")).body.session).toEqual({});
    expect(side.rows()).toEqual([]);
  });

  it.each<Mode>(["observe", "bridge"])(
    "is never stored under an id of the client's own, in %s",
    async (mode) => {
      const { bridged } = await start(undefined, { mode });
      const { browser, app, side } = bridged;
      browser.cookies.set("koa:sess", "made-up");
      const attacker = browser.clone();

      const response = await browser.get(login);

      expect(browser.cookies.get("koa:sess")).not.toBe("made-up");
      expect(side.rows().map(([key]) => key)).toEqual([
        `koa:sess:${browser.cookies.get("koa:sess")}`,
      ]);
      expect((await browser.get("/whoami")).body.session).toEqual(user);
      for (const path of ["/whoami", "/empty", "/end?by={}", "/whoami"]) {
        const theirs = await attacker.get(path);
        expect(theirs.body.session ?? {}).toEqual({});
        expect(tokensOf(theirs).accessToken).toBeUndefined();
      }
      expect(tokensOf(response).accessToken === undefined).toBe(mode === "observe");
      expect(app.counts().legacyCookies["koa-session-minimal:koa:sess"]).toMatchObject({
        missed: 5,
      });
    },
  );

  const leftCookies: [string, number, object][] = [
    ["whose linger is over", 11_000, { cookieLingerInSeconds: 10 }],
    ["that has expired", 61_000, {}],
  ];
  it.each(leftCookies)(
    "goes on by its tokens when a visitor comes with a cookie %s",
    async (_, later, options) => {
      const { browser, app, ask, side } = await startUpgraded(undefined, {
        ...options,
        clock: () => new Date(),
      });
      await ask("/whoami");
      const left = app.browser();
      for (const [name, value] of browser.cookies) left.cookies.set(name, value);
      pass(later);

      expect((await left.get("/set?visits=1")).body.session).toEqual({ visits: "1" });

      expect((await ask("/whoami")).body.session).toEqual(user);
      expect(side.rows()).toHaveLength(2);
    },
  );
});

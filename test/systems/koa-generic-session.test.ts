import type { Context } from "koa";
import { describe, expect, it } from "vitest";
import { type Handler, tokensOf } from "../support/app.js";
import { genericHandlers } from "../support/systems/koa-generic-session.js";
import { pass, sideBySideOfTest } from "../support/systems/side-by-side.js";
import { generic, type Side } from "../support/systems/variants.js";
import { lifetimeOf, pairIn, pairInBody, refresh, whoami } from "../support/tokens.js";

const tests = sideBySideOfTest();
const day = 24 * 60 * 60 * 1000;

const handlers: Record<string, Handler> = {
  ...genericHandlers,
  // Whole: with `cookie`, and whatever else the package shows.
  "/raw": async (ctx) => {
    ctx.body = { raw: (await ctx.session) as unknown, id: ctx["sessionId"] as unknown };
  },
  "/lifetime": async (ctx) => {
    (await ctx.session).cookie.maxAge = 2 * day;
    (await ctx.session).a = 1;
    ctx.body = {};
  },
};

/** The id travels in headers; with methods on the prototype, as of any class. */
class IdsInHeaders {
  get(this: Context): string {
    return this.get("Old-Id");
  }
  set(this: Context, id: string, { cookie }: { cookie: { maxAge: number } }): void {
    this.set("Old-Id", `${id}; ${cookie.maxAge}`);
  }
  reset(this: Context): void {
    this.set("Old-Id", "");
  }
}

const login = "/login?user=ada";
const visits = [login, "/raw", "/set?theme=dark", "/untouched", "/raw"];

describe("Of koa-generic-session's options", () => {
  type Row = [option: string, configure: (side: Side) => object, paths?: string[]];
  const options: Row[] = [
    ["none", () => ({})],
    ["ttl", () => ({ ttl: 90_000 })],
    ["ttl as a function", () => ({ ttl: (s: { theme?: string }) => (s.theme ? 70_000 : 80_000) })],
    ["key and prefix", () => ({ key: "other", prefix: "elsewhere:" })],
    ["genSid, with a promise", ({ newId }) => ({ genSid: async (n: number) => `${n}-${newId()}` })],
    ["rolling", () => ({ rolling: true })],
    ["allowEmpty", () => ({ allowEmpty: true }), ["/whoami", "/whoami", ...visits]],
    ["defer", () => ({ defer: true }), [...visits, "/login?user=grace", "/raw", "/regenerate"]],
    ["valid", () => ({ valid: (_: unknown, s: { theme?: string }) => s.theme !== "dark" })],
    [
      "beforeSave",
      () => ({ beforeSave: (ctx: Context, s: object) => Object.assign(s, ctx.query) }),
    ],
    [
      "cookie",
      () => ({ cookie: { path: "/", domain: "127.0.0.1", httpOnly: false, maxAge: day } }),
    ],
    ["cookie.maxAge null", () => ({ cookie: { maxAge: null }, ttl: 60_000 })],
    ["cookie.maxage", () => ({ cookie: { maxage: 60_000 } })],
    ["cookie.signed", () => ({ cookie: { signed: false } })],
    ["cookie.path", () => ({ cookie: { path: "/app" } }), [`/app${login}`, "/app/set?a=1"]],
    ["sessionIdStore", () => ({ sessionIdStore: new IdsInHeaders() }), [login, login]],
  ];

  it.each(options)("%s is as with the package alone", async (_, configure, paths = visits) => {
    const both = await tests.start(generic(configure), { handlers });

    for (const path of paths) {
      expect((await both.get(path)).status).toBe(200);
      pass(1000);
    }

    expect(both.bridged.app.errors).toEqual([]);
    expect(both.bridged.app.bridgeErrors).toEqual([]);
  });

  const notUpgraded = ["valid", "sessionIdStore"];
  const upgraded = options.filter(([option]) => !notUpgraded.includes(option));
  it.each(upgraded)("%s leaves a session that tokens open, too", async (option, configure) => {
    const both = await tests.start(generic(configure), { handlers });
    const under = option === "cookie.path" ? "/app" : "";
    await both.plain.browser.get(`${under}${login}`);
    const browser = both.moved();

    const pair = pairIn(await browser.get(`${under}/whoami`));

    const data = { userId: "ada", ...(option === "beforeSave" && { user: "ada" }) };
    expect((await whoami(both.bridged.app.url, pair)).body.session).toEqual(data);
    const { rows } = await tests.database.pool.query(`select "data" from "sessionStore"`);
    expect(rows).toEqual([{ data }]);
    // None of these is a lifetime of this session's own.
    expect(lifetimeOf(pair.refreshToken)).toBe((30 * day) / 1000);
  });

  it("sessionIdStore may take the id from anywhere, and be an instance of a class", async () => {
    const variant = generic(() => ({ sessionIdStore: new IdsInHeaders() }));
    const both = await tests.start(variant, { handlers });
    const { headers } = await both.bridged.browser.get(login);
    const [id] = String(headers["old-id"]).split("; ");
    const byId = { headers: { "old-id": id } };

    const pair = pairIn(await both.bridged.browser.get("/whoami", byId));
    const gone = await both.bridged.browser.get("/logout", byId);

    expect(gone.headers["old-id"]).toBe("");
    expect((await whoami(both.bridged.app.url, pair)).status).toBe(401);
  });

  it("valid keeps a session that it refuses from being upgraded, and from being removed", async () => {
    const valid = (_: unknown, session: { userId: string }) => session.userId !== "ada";
    const both = await tests.start(
      generic(() => ({ valid })),
      { handlers },
    );
    await both.plain.browser.get(login);
    const response = await both.moved().get("/whoami");

    expect(response.body.session).toEqual({});
    expect(tokensOf(response).accessToken).toBeUndefined();
    expect(both.bridged.side.rows()).toHaveLength(1);
  });

  const lifetimes: [string, () => object][] = [
    ["ttl", () => ({ ttl: 90_000, cookie: { maxAge: day } })],
    ["ttl as a function", () => ({ ttl: () => 90_000, cookie: { maxAge: day } })],
    ["cookie.maxAge", () => ({ cookie: { maxAge: 90_000 } })],
  ];
  it.each(lifetimes)("%s ends the cookie's session, not the one of its tokens", async (_, of) => {
    const both = await tests.start(generic(of), { handlers });
    const { browser, app } = both.bridged;
    const pair = pairIn(await browser.get(login));
    // As of a client that keeps cookies for ever.
    const kept = app.browser();
    for (const [name, value] of browser.cookies) kept.cookies.set(name, value);

    pass(89_000);
    expect((await kept.get("/whoami")).body.session).toEqual({ userId: "ada" });
    pass(2_000);

    expect((await kept.clone().get("/whoami")).body.session).toEqual({});
    expect((await kept.get("/set?a=1")).body.session).toEqual({ a: "1" });
    expect((await whoami(app.url, pair)).body.session).toEqual({ userId: "ada" });
  });

  it("cookie.maxAge of one session is the lifetime of its refresh tokens", async () => {
    const both = await tests.start(
      generic(() => ({})),
      { handlers },
    );
    await both.get(login);
    await both.get("/lifetime");
    const pair = pairIn(await both.get("/untouched"));
    const renewed = pairInBody(await refresh(both.bridged.app.url, pair.refreshToken));
    expect(lifetimeOf(renewed.refreshToken)).toBe((2 * day) / 1000);
  });
});

describe.each([[false], [true]])(
  "A session of koa-generic-session that another request ends, with defer %s,",
  (defer) => {
    it.each(["unchanged", "changed"])(
      "is not brought back by a request that goes on, %s",
      async (change) => {
        let arrived!: () => void;
        let goOn!: () => void;
        const isThere = new Promise<void>((resolve) => (arrived = resolve));
        const gate = new Promise<void>((resolve) => (goOn = resolve));
        const both = await tests.start(
          generic(() => ({ defer })),
          {
            handlers: {
              ...handlers,
              "/slow": async (ctx) => {
                const session = await ctx.session;
                arrived();
                await gate;
                if (change === "changed") session.late = 1;
                if (!defer) await ctx["saveSession"]();
                ctx.body = {};
              },
            },
          },
        );
        await both.plain.browser.get("/login?user=ada");
        const browser = both.moved();
        const other = browser.clone();
        const slow = browser.get("/slow");
        await isThere;
        await other.get("/logout");
        goOn();
        expect((await slow).status).toBe(200);

        expect(both.bridged.side.rows()).toEqual([]);
        const { rows } = await tests.database.pool.query(
          `select from "sessionStore" where "revokedAt" is null`,
        );
        expect(rows).toEqual([]);
        expect((await browser.get("/whoami")).body.session).toEqual({});
      },
    );
  },
);

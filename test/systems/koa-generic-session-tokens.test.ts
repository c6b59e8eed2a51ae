import { describe, expect, it } from "vitest";
import type { SessionBridge, SessionBridgeOptions } from "../../src/index.js";
import { bearer, type Handler, tokensOf } from "../support/app.js";
import type { BrowserResponse } from "../support/client.js";
import {
  genericHandlers,
  koaGenericSessionSystem,
} from "../support/systems/koa-generic-session.js";
import { sideBySideOfTest } from "../support/systems/side-by-side.js";
import { generic } from "../support/systems/variants.js";
import { pairIn, refresh, sessionIdOf, type Tokens, whoami } from "../support/tokens.js";

const tests = sideBySideOfTest();
const madeUp = Object.entries(koaGenericSessionSystem.cookiesOfId!("made-up"));
const ways = [
  ["at once", false],
  ["deferred", true],
] as const;

async function start(defer: boolean, more: Record<string, Handler> = {}, options: object = {}) {
  const handlers = { ...genericHandlers, ...more };
  const both = await tests.start(
    generic(() => ({ defer })),
    { handlers, ...options },
  );
  return both.bridged;
}

/** A session that was upgraded, and a function that asks with its token. */
async function startUpgraded(defer: boolean, handlers: Record<string, Handler>) {
  const bridged = await start(defer, handlers);
  const pair = pairIn(await bridged.browser.get("/login?user=ada"));
  const ask = (path: string, by: Tokens = pair) =>
    bridged.app.browser().get(path, bearer(by.accessToken));
  return { ...bridged, pair, ask };
}

const rows = async () =>
  (
    await tests.database.pool.query<{ data: Record<string, unknown> }>(
      `select "data" from "sessionStore" where "revokedAt" is null order by "createdAt"`,
    )
  ).rows.map(({ data }) => data);

describe.each(ways)(
  "By bearer, koa-generic-session's context, with the session %s,",
  (_, defer) => {
    it("has the session as ctx.session, and its id as ctx.sessionId", async () => {
      const { ask, pair } = await startUpgraded(defer, {
        "/id": (ctx) => {
          const isPromise = (ctx.session as unknown) instanceof Promise;
          ctx.body = { id: ctx["sessionId"] as unknown, isPromise };
        },
      });
      const id = sessionIdOf(pair.accessToken);
      expect((await ask("/id")).body).toEqual({ id, isPromise: defer });
    });

    it("moves to a new session by ctx.regenerateSession(), and the old one ends", async () => {
      const { ask, browser, side } = await startUpgraded(defer, {
        "/move": async (ctx) => {
          await ctx["regenerateSession"]();
          (await ctx.session).userId = "grace";
          ctx.body = { id: ctx["sessionId"] as unknown };
        },
        "/drop": async (ctx) => {
          ctx["sessionSave"] = false;
          await ctx["regenerateSession"]();
          ctx.body = {};
        },
      });

      const response = await ask("/move");
      const next = pairIn(response);

      expect(response.body.id).toBe(sessionIdOf(next.accessToken));
      expect((await ask("/whoami", next)).body.session).toEqual({ userId: "grace" });
      expect((await ask("/whoami")).status).toBe(401);
      expect((await browser.get("/whoami")).body.session).toEqual({});
      expect(side.rows()).toEqual([]);

      await ask("/drop", next);
      expect((await ask("/whoami", next)).status).toBe(401);
    });

    it("stores at once by ctx.saveSession(), and not at all by ctx.sessionSave = false", async () => {
      const stored: unknown[] = [];
      const { ask } = await startUpgraded(defer, {
        "/save": async (ctx) => {
          (await ctx.session).saved = 1;
          await ctx["saveSession"]();
          stored.push(...(await rows()));
          ctx["sessionSave"] = false;
          (await ctx.session).dropped = 1;
          ctx.body = { isSaved: ctx["sessionSave"] as unknown };
        },
      });

      expect((await ask("/save")).body).toEqual({ isSaved: false });

      expect(stored).toEqual([{ userId: "ada", saved: 1 }]);
      expect(await rows()).toEqual([{ userId: "ada", saved: 1 }]);
    });

    it("keeps an empty new session by ctx.sessionSave = true, and none without it", async () => {
      const handlers: Record<string, Handler> = {
        "/keep": async (ctx) => {
          await ctx.session;
          ctx["sessionSave"] = true;
          ctx.body = {};
        },
      };
      const { app } = await start(defer, handlers, { mode: "tokens" });

      expect(tokensOf(await app.browser().get("/whoami")).accessToken).toBeUndefined();
      const pair = pairIn(await app.browser().get("/keep"));

      expect((await whoami(app.url, pair)).status).toBe(200);
    });

    it("shows `cookie` to handlers alone: neither tokens nor JSON have it, and the old row keeps it", async () => {
      const { ask, side } = await startUpgraded(defer, {
        "/look": async (ctx) => {
          const session = await ctx.session;
          session.seen = true;
          const { path, httpOnly, overwrite } = session.cookie;
          ctx.body = {
            cookie: { path, httpOnly, overwrite },
            json: session as unknown,
            names: Object.keys(session as object),
          };
        },
        "/spread": async (ctx) => {
          const { cookie } = await ctx.session;
          ctx.session = { cookie: cookie as unknown, userId: "grace" };
          ctx.body = {};
        },
      });
      const [key] = [...side.store.entries.keys()] as [string];
      const before = side.store.entries.get(key) as { cookie: object };

      const { body } = await ask("/look");
      expect(body).toEqual({
        cookie: { path: "/", httpOnly: true, overwrite: true },
        json: { userId: "ada", seen: true },
        names: ["userId", "seen"],
      });
      expect(side.store.entries.get(key)).toEqual({ ...before, seen: true });

      await ask("/spread");
      expect(await rows()).toEqual([{ userId: "grace" }]);
      expect(side.store.entries.get(key)).toEqual({ cookie: before.cookie, userId: "grace" });
      expect(before.cookie).toMatchObject({ maxAge: 60_000, path: "/" });
    });

    it.each([[null], [undefined], [false], [0], [""]])(
      "ends by ctx.session = %j",
      async (value) => {
        const { ask, side } = await startUpgraded(defer, {
          "/end": (ctx) => {
            ctx.session = value;
            ctx.body = {};
          },
        });

        expect((await ask("/end")).status).toBe(200);

        expect((await ask("/whoami")).status).toBe(401);
        expect(side.rows()).toEqual([]);
      },
    );
  },
);

describe.each(ways)("bridge.issueTokens(ctx) on koa-generic-session, %s,", (_, defer) => {
  async function startIssuing(after: Handler, options: Partial<SessionBridgeOptions> = {}) {
    const issuing: { bridge?: SessionBridge } = {};
    const issue =
      (before: Handler): Handler =>
      async (ctx) => {
        await before(ctx);
        const pair = await issuing.bridge!.issueTokens(ctx);
        const { accessToken, refreshToken } = pair;
        await after(ctx);
        ctx.body = { accessToken, refreshToken };
      };
    const handlers = {
      "/sign-in": issue(genericHandlers["/login"]!),
      "/sign-in-unread": issue((ctx) => {
        ctx.session = { cookie: { maxAge: 60_000, signed: true }, userId: "user-1" };
      }),
      "/nobody": issue(genericHandlers["/whoami"]!),
      "/signed-out": issue(async (ctx) => {
        await ctx.session;
        ctx.session = null;
      }),
    };
    const bridged = await start(defer, handlers, options);
    issuing.bridge = bridged.app.bridge;
    return bridged;
  }
  const nothing = () => undefined;
  const addLate: Handler = async (ctx) => {
    (await ctx.session).late = 1;
  };
  const pairOf = ({ body }: BrowserResponse) => body as Tokens;

  it.each(["/sign-in", "/sign-in-unread"])("gives the pair of %s in the body", async (path) => {
    const { app, browser, side } = await startIssuing(nothing);
    for (const [name, value] of madeUp) browser.cookies.set(name, value);

    const response = await browser.get(path);
    const pair = pairOf(response);

    const user = { userId: "user-1" };
    expect(tokensOf(response).accessToken).toBeUndefined();
    expect((await whoami(app.url, pair)).body.session).toEqual(user);
    expect((await browser.get("/whoami")).body.session).toEqual(user);
    expect((await refresh(app.url, pair.refreshToken)).status).toBe(200);
    expect(side.rows()).toMatchObject([[expect.not.stringContaining("made-up"), user, 60_000]]);
    expect(await rows()).toEqual([user]);
  });

  it.each(["/sign-in", "/sign-in-unread"])(
    "at %s leaves later changes to the end",
    async (path) => {
      const { app, browser } = await startIssuing(addLate);
      const pair = pairOf(await browser.get(path));
      const data = { userId: "user-1", late: 1 };
      expect((await whoami(app.url, pair)).body.session).toEqual(data);
      expect((await browser.get("/whoami")).body.session).toEqual(data);
    },
  );

  it.each([
    ["no cookie", []],
    ["an unknown cookie", madeUp],
  ])("while draining gives the pair and keeps later changes, with %s", async (_, cookies) => {
    const { app, browser, side } = await startIssuing(addLate, { mode: "drain" });
    for (const [name, value] of cookies) browser.cookies.set(name, value);

    const pair = pairOf(await browser.get("/sign-in"));

    expect((await whoami(app.url, pair)).body.session).toEqual({ userId: "user-1", late: 1 });
    expect((await browser.get("/whoami")).body.session).toEqual({});
    expect(side.rows()).toEqual([]);
  });

  it.each(["/nobody", "/signed-out"])("has nothing to give at %s", async (path) => {
    const { browser } = await startIssuing(nothing);
    expect((await browser.get(path)).status).toBe(401);
    await browser.get("/sign-in");
    expect((await browser.get(path)).status).toBe(path === "/nobody" ? 200 : 401);
  });

  it("ends with the session that the handler removes afterwards", async () => {
    const { app, browser, side } = await startIssuing((ctx) => {
      ctx.session = null;
    });
    const pair = pairOf(await browser.get("/sign-in"));
    expect((await whoami(app.url, pair)).status).toBe(401);
    expect(side.rows()).toEqual([]);
    expect(browser.cookies.size).toBe(0);
    expect((await browser.get("/whoami")).body.session).toEqual({});
  });
});

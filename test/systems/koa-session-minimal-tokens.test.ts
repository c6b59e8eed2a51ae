import { describe, expect, it } from "vitest";
import type { SessionBridge, SessionBridgeOptions } from "../../src/index.js";
import { type Handler, tokensOf } from "../support/app.js";
import type { BrowserResponse } from "../support/client.js";
import { minimalHandlers } from "../support/systems/koa-session-minimal.js";
import { sideBySideOfTest } from "../support/systems/side-by-side.js";
import { minimal } from "../support/systems/variants.js";
import { pairIn, refresh, sessionIdOf, type Tokens, whoami } from "../support/tokens.js";

const tests = sideBySideOfTest();
const user = { userId: "ada" };

type Issue = () => Promise<Tokens>;

/** `/sign-in` issues tokens and then does what the test says; it answers with the pair. */
async function start(
  after: (ctx: Parameters<Handler>[0], issue: Issue) => unknown = () => undefined,
  options: Partial<SessionBridgeOptions> = {},
) {
  const issuing: { bridge?: SessionBridge } = {};
  const issueAt =
    (before: Handler): Handler =>
    async (ctx) => {
      const issue: Issue = async () => {
        const { accessToken, refreshToken } = await issuing.bridge!.issueTokens(ctx);
        return { accessToken, refreshToken };
      };
      await before(ctx);
      const pair = await issue();
      const further = await after(ctx, issue);
      ctx.body = further ?? pair;
    };
  const signIn: Handler = (ctx) => {
    ctx.session = { ...ctx.session, ...user };
  };
  const handlers = {
    ...minimalHandlers,
    "/sign-in": issueAt(signIn),
    "/safe-sign-in": issueAt((ctx) => {
      void signIn(ctx);
      ctx["sessionHandler"].regenerateId();
    }),
    "/nobody": issueAt(() => undefined),
    "/signed-out": issueAt((ctx) => (ctx.session = null)),
    "/emptied": issueAt((ctx) => (ctx.session = {})),
    "/at-once": async (ctx) => {
      ctx.session = user;
      ctx.body = await issuing.bridge!.issueTokens(ctx);
    },
    "/caught": async (ctx) => {
      await Promise.resolve(handlers["/nobody"]!(ctx)).catch(() => undefined);
      ctx.session.theme = "dark";
      ctx.body = {};
    },
  } as Record<string, Handler>;
  const { bridged } = await tests.start(minimal(), { handlers, ...options });
  issuing.bridge = bridged.app.bridge;
  const shownTo = async (pair: Tokens) => (await whoami(bridged.app.url, pair)).body.session;
  const shown = async () => (await bridged.browser.get("/whoami")).body.session;
  const rows = () => [...bridged.side.store.entries.values()];
  return { ...bridged, shown, shownTo, rows };
}

const pairOf = ({ status, body }: BrowserResponse): Tokens => {
  expect(status).toBe(200);
  return body as Tokens;
};

// While draining, an unknown cookie has the old package make the session that gets no cookie.
const circumstances = [
  ["bridge", undefined],
  ["drain", undefined],
  ["drain", "made-up"],
] as const;

describe("bridge.issueTokens(ctx) on koa-session-minimal", () => {
  it("gives the pair in the body, and the cookie beside it", async () => {
    const { app, browser, shown, shownTo, rows } = await start();

    const response = await browser.get("/sign-in");
    const pair = pairOf(response);

    expect(tokensOf(response).accessToken).toBeUndefined();
    expect(response.setCookie).toHaveLength(1);
    expect(await shownTo(pair)).toEqual(user);
    expect(await shown()).toEqual(user);
    expect(rows()).toEqual([user]);
    expect((await refresh(app.url, pair.refreshToken)).status).toBe(200);
    expect(app.bridgeErrors).toEqual([]);
  });

  it("gives it to a handler that has waited for nothing before", async () => {
    const { app, browser, shown, shownTo } = await start();
    const { status, body } = await browser.get("/at-once");
    expect([status, app.errors]).toEqual([200, []]);
    expect(await shownTo(body as Tokens)).toEqual(user);
    expect(await shown()).toEqual(user);
  });

  it("gives the pair on offer of a session that was there before", async () => {
    const { browser, shownTo } = await start();
    const before = pairIn(await browser.get("/set?theme=dark"));

    const pair = pairOf(await browser.get("/sign-in"));

    expect(sessionIdOf(pair.accessToken)).toBe(sessionIdOf(before.accessToken));
    expect(await shownTo(pair)).toEqual({ theme: "dark", ...user });
  });

  it("follows a regenerateId() that came before it, and the old id ends", async () => {
    const { app, browser, shown, shownTo, rows } = await start();
    const before = pairIn(await browser.get("/set?theme=dark"));
    const stolen = browser.clone();

    const pair = pairOf(await browser.get("/safe-sign-in"));

    expect(await shownTo(pair)).toEqual({ theme: "dark", ...user });
    expect(await shown()).toEqual({ theme: "dark", ...user });
    expect((await stolen.get("/whoami")).body.session).toEqual({});
    expect((await whoami(app.url, before)).status).toBe(401);
    expect(rows()).toHaveLength(1);
  });

  it("refuses a regenerateId() that comes after it, which could not be followed", async () => {
    const { app, browser } = await start((ctx) => ctx["sessionHandler"].regenerateId());
    expect((await browser.get("/sign-in")).status).toBe(500);
    expect(String(app.errors[0])).toMatch(/regenerateId\(\) has to come before/);
  });

  it.each(circumstances)(
    "has later changes stored, in %s with the cookie %s",
    async (mode, cookie) => {
      const late: Handler = (ctx) => void (ctx.session.late = { at: [1] });
      const { browser, shown, shownTo, rows } = await start(late, { mode });
      if (cookie !== undefined) browser.cookies.set("koa:sess", cookie);

      const pair = pairOf(await browser.get("/sign-in"));

      const data = { ...user, late: { at: [1] } };
      expect(await shownTo(pair)).toEqual(data);
      expect(await shown()).toEqual(mode === "drain" ? {} : data);
      expect(rows()).toEqual(mode === "drain" ? [] : [data]);
    },
  );

  it("has later changes of a session stored that was as it had been read", async () => {
    const { browser, shown } = await start((ctx) => void (ctx.session.late = 1));
    await browser.get("/set?theme=dark");
    pairOf(await browser.get("/nobody"));
    expect(await shown()).toEqual({ theme: "dark", late: 1 });
  });

  it("may be called again, between changes", async () => {
    const { browser, shown, shownTo } = await start(async (ctx, issue) => {
      ctx.session.second = 2;
      const pair = await issue();
      expect(await shownTo(pair)).toEqual({ ...user, second: 2 });
      ctx.session.third = 3;
      return pair;
    });

    const pair = pairOf(await browser.get("/sign-in"));

    const data = { ...user, second: 2, third: 3 };
    expect(await shownTo(pair)).toEqual(data);
    expect(await shown()).toEqual(data);
  });

  const ends: [string, Handler][] = [
    ["null", (ctx) => void (ctx.session = null)],
    ["{}", (ctx) => void (ctx.session = {})],
    ["undefined", (ctx) => void (ctx.session = undefined)],
  ];
  const endsInModes = ends.flatMap(([name, end]) =>
    circumstances.map(([mode, cookie]) => [name, mode, cookie, end] as const),
  );
  it.each(endsInModes)(
    "is undone by ctx.session = %s after it, in %s with the cookie %s",
    async (_, mode, cookie, end) => {
      const { app, browser, shown, rows } = await start(end, { mode });
      if (cookie !== undefined) browser.cookies.set("koa:sess", cookie);

      const pair = pairOf(await browser.get("/sign-in"));

      expect((await whoami(app.url, pair)).status).toBe(401);
      expect([...browser.cookies.keys()]).toEqual([]);
      expect(rows()).toEqual([]);
      expect(await shown()).toEqual({});
    },
  );

  it("leaves the session as it was stored when the handler throws after it", async () => {
    const { app, browser, rows } = await start((ctx) => {
      ctx.session.late = 1;
      throw new Error("the handler's own error");
    });

    const response = await browser.get("/sign-in");

    expect(response.status).toBe(500);
    expect(response.setCookie).toEqual([]);
    expect(tokensOf(response).accessToken).toBeUndefined();
    expect(app.errors.map(String)).toEqual(["Error: the handler's own error"]);
    expect(rows()).toEqual([user]);
  });

  it.each(["/nobody", "/signed-out", "/emptied"])("has nothing to give at %s", async (path) => {
    const { app, browser, rows } = await start();
    expect((await browser.get(path)).status).toBe(401);
    expect(rows()).toEqual([]);
    expect(app.errors).toMatchObject([{ code: "no-session" }]);
  });

  it.each(["/signed-out", "/emptied"])(
    "gives no pair of a session that ends, at %s",
    async (path) => {
      const { browser } = await start();
      await browser.get("/sign-in");
      expect((await browser.get(path)).status).toBe(401);
    },
  );

  it("costs nothing when it fails and the handler goes on", async () => {
    const { browser, shown } = await start();
    expect((await browser.get("/caught")).status).toBe(200);
    expect(await shown()).toEqual({ theme: "dark" });
  });

  it("gives nothing in observe", async () => {
    const { browser } = await start(undefined, { mode: "observe" });
    expect((await browser.get("/sign-in")).status).toBe(409);
  });
});

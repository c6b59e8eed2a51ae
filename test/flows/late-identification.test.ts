import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type RunningApp, startBridgedApp, tokensOf } from "../support/app.js";
import { TestClock } from "../support/clock.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import type { Mode } from "../../src/index.js";

let database: TestDatabase;
let app: RunningApp;
let clock: TestClock;
let mode: Mode;
let release: () => void;
let entered: Promise<void>;

// A data cookie from before the bridge, and a page that is still loading while something else happens.
beforeEach(async () => {
  database = await testDatabase();
  clock = new TestClock(new Date());
  mode = "observe";
  let enter: () => void = () => undefined;
  entered = new Promise((resolve) => (enter = resolve));
  const held = new Promise<void>((resolve) => (release = resolve));
  app = await startBridgedApp(database.pool, {
    config: {},
    mode: () => mode,
    clock: clock.now,
    handlers: {
      "/slow": async (ctx) => {
        void ctx.session.userId;
        enter();
        await held;
      },
      "/clear": (ctx) => {
        void ctx.session.userId;
        ctx.cookies.set(ctx.sessionOptions.key, null);
        ctx.body = "cleared";
      },
      "/twice": async (ctx) => {
        ctx.session.mine = 1;
        enter();
        await held;
        await ctx.session.manuallyCommit();
      },
    },
  });
});
afterEach(async () => {
  await app.close();
  await database.drop();
});

describe("A data cookie that has no id yet", () => {
  test("is not brought back by a slow page after a logout", async () => {
    const browser = app.browser();
    await browser.get("/login");
    mode = "bridge";
    const slow = browser.get("/slow");
    await entered;
    await browser.get("/logout");
    clock.advance(2);
    release();
    expect((await slow).setCookie).toEqual([]);
    expect((await browser.get("/whoami")).body.session).toEqual({});
  });

  test("is dead under every id that it was given, once one of them has logged out", async () => {
    const browser = app.browser();
    await browser.get("/login");
    mode = "bridge";
    const other = browser.clone();
    await browser.get("/whoami");
    await other.get("/whoami");
    clock.advance(6);
    expect(tokensOf(await browser.get("/whoami")).accessToken).toBeDefined();
    await browser.get("/logout");
    expect((await other.get("/whoami")).body.session).toEqual({});
  });

  test("stays cleared when the handler clears it by hand", async () => {
    const browser = app.browser();
    await browser.get("/login");
    mode = "bridge";
    await browser.get("/clear");
    expect((await browser.get("/whoami")).body.session).toEqual({});
  });

  test("gets its id from the endpoint, and one session however often that is asked", async () => {
    const browser = app.browser();
    await browser.get("/login");
    mode = "bridge";
    const first = browser.clone();
    expect((await first.post("/session/upgrade")).body.code).toBe("not-settled");
    expect((await first.post("/session/upgrade")).body.code).toBe("not-settled");
    clock.advance(6);
    expect((await first.post("/session/upgrade")).status).toBe(200);
    const { rows } = await database.pool.query(`select from "sessionStore"`);
    expect(rows).toHaveLength(1);
  });
});

test("a session that is stored twice in a request keeps what others stored in between", async () => {
  const browser = app.browser();
  mode = "bridge";
  await browser.get("/login");
  const twice = browser.get("/twice");
  await entered;
  await browser.get("/set?other=kept");
  release();
  await twice;
  expect((await browser.get("/whoami")).body.session).toEqual({
    userId: "user-1",
    mine: 1,
    other: "kept",
  });
});

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Mode, SessionBridge } from "../../src/index.js";
import type { Handler, RunningApp } from "../support/app.js";
import type { Browser } from "../support/client.js";
import { ExpressMapStore, TouchedMapStore } from "../support/systems/express-map-store.js";
import { expressSessionSystem } from "../support/systems/express-session.js";
import { flowsOfTest, type SystemFlow } from "../support/systems/system-flow.js";
import { whoami } from "../support/tokens.js";

const start = flowsOfTest();
const user = { userId: "user-1" };
const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const modes: Mode[] = ["observe", "bridge"];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
});
afterEach(() => {
  vi.useRealTimers();
});
const pass = (milliseconds: number) => vi.setSystemTime(Date.now() + milliseconds);

/** A browser that keeps the cookie for longer than it was told to. */
async function loggedInAt(app: RunningApp, flow: SystemFlow): Promise<Browser> {
  const browser = app.browser();
  for (const cookie of (await flow.loginBefore()).cookies) browser.cookies.set(...cookie);
  return browser;
}

describe("What a handler stores early", () => {
  type Act = (ctx: Parameters<Handler>[0], bridge: SessionBridge) => Promise<unknown>;
  const acts: Record<string, [act: Act, data: object]> = {
    "a change, by save()": [
      async (ctx) => {
        ctx.session.userId = "new";
        await ctx.session.save();
      },
      { userId: "new" },
    ],
    "a removal, by save()": [
      async (ctx) => {
        delete ctx.session.userId;
        await ctx.session.save();
      },
      {},
    ],
    "a change, by issueTokens()": [
      async (ctx, bridge) => {
        ctx.session.userId = "new";
        await bridge.issueTokens(ctx);
      },
      { userId: "new" },
    ],
  };
  const lifetimes = { "without a lifetime": { cookie: {} }, "with a lifetime": {} };
  const rows = Object.entries(acts).flatMap(([name, [act, data]]) =>
    Object.entries(lifetimes).map(([lifetime, options]) => ({
      name,
      act,
      data,
      lifetime,
      options,
    })),
  );

  async function open(act: Act, options: object, mode: Mode) {
    const flow = await start(expressSessionSystem, { options });
    const acting: Handler = async (ctx) => {
      await act(ctx, app.bridge);
      ctx.body = {};
    };
    const handlers = { ...flow.application.bridged.handlers, "/act": acting };
    const app: RunningApp = await flow.bridged({ mode, handlers });
    return { flow, app };
  }

  it.each(rows)("is kept in a session $lifetime: $name", async ({ act, data, options }) => {
    const { flow, app } = await open(act, options, "bridge");
    const { browser, pair } = await flow.upgraded(app);
    pass(2 * minute);

    expect((await browser.get("/act")).status).toBe(200);

    expect((await whoami(app.url, pair)).body.session).toEqual(data);
    expect(await flow.application.rows()).toMatchObject([{ data }]);
  });

  const saved = rows.filter(({ name }) => name.endsWith("save()"));
  it.each(saved)(
    "is kept in observe by a store that touch has store it all, $lifetime: $name",
    async ({ act, data, options }) => {
      const store = new TouchedMapStore();
      const { flow, app } = await open(act, { store, ...options }, "observe");
      const browser = await loggedInAt(app, flow);
      pass(2 * minute);

      expect((await browser.get("/act")).status).toBe(200);

      expect((await browser.get("/whoami")).body.session).toEqual(data);
      expect(
        (await browser.clone({ baseUrl: flow.plain.url }).get("/whoami")).body.session,
      ).toEqual(data);
    },
  );
});

describe("A session of express-session that is used lives on", () => {
  it.each(modes)("when each request changes it, in %s", async (mode) => {
    const flow = await start(expressSessionSystem);
    const app = await flow.bridged({ mode });
    const browser = await loggedInAt(app, flow);
    for (const count of [1, 2, 3, 4]) {
      pass(10 * hour);
      expect((await browser.get("/count")).body.session).toEqual({ ...user, count });
    }
  });

  it.each(modes)("when its lifetime is short, in %s", async (mode) => {
    const flow = await start(expressSessionSystem, { options: { cookie: { maxAge: minute } } });
    const app = await flow.bridged({ mode });
    const browser = await loggedInAt(app, flow);
    for (let requests = 0; requests < 4; requests += 1) {
      pass(40 * second);
      expect((await browser.get("/whoami")).body.session).toEqual(user);
    }
  });

  it.each([
    ["left out", undefined, user],
    ["true", true, user],
    ["false", false, {}],
  ])("in a store without touch unless resave is false: %s", async (_, resave, last) => {
    const store = new ExpressMapStore();
    const options = { store, cookie: { maxAge: hour } };
    const flow = await start(expressSessionSystem, { options });
    const settings = { options: { ...options, resave } };
    const legacy = expressSessionSystem.on(flow.database.pool, settings).source();
    const app = await flow.bridged({ mode: "observe", legacy });
    const browser = await loggedInAt(app, flow);
    const [before] = store.entries.values();
    for (const expected of [user, last]) {
      pass(40 * minute);
      expect((await browser.get("/whoami")).body.session).toEqual(expected);
      expect([...store.entries.values()][0] === before).toBe(last !== user);
    }
  });
});

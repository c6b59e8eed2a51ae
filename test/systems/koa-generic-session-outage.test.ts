import { randomUUID } from "node:crypto";
import { EventEmitter } from "node:events";
import type { Context } from "koa";
import { describe, expect, it } from "vitest";
import type { Handler } from "../support/app.js";
import {
  genericHandlers,
  koaGenericSessionSystem,
} from "../support/systems/koa-generic-session.js";
import { sideBySideOfTest } from "../support/systems/side-by-side.js";
import { generic } from "../support/systems/variants.js";
import { pairIn, whoami } from "../support/tokens.js";

const tests = sideBySideOfTest();
const login = "/login?user=ada";

/** What errorHandler was told. */
type Told = [error: unknown, type: string, path: string][];

const errorHandlerTo = (told: Told) => ({
  errorHandler: (error: unknown, type: string, ctx: Context) => {
    told.push([error, type, ctx.path]);
  },
});

describe("A failing store of koa-generic-session", () => {
  const failure = Object.assign(new Error("away"), { code: "EAWAY" });
  const { cookiesOfId } = koaGenericSessionSystem;

  it.each([
    ["get", "/whoami"],
    ["get", login],
    ["set", login],
  ] as const)("by %s is told to errorHandler, of %s", async (method, path) => {
    const told: Told = [];
    const both = await tests.start(
      generic(({ client }) => ({
        store: { ...client, [method]: () => Promise.reject(failure) },
        ...errorHandlerTo(told),
      })),
      { handlers: genericHandlers },
    );
    for (const { browser } of [both.plain, both.bridged]) {
      for (const [name, value] of Object.entries(cookiesOfId!("any id"))) {
        browser.cookies.set(name, value);
      }
    }

    await both.get(path);

    const once = [failure, method, path.split("?")[0]];
    expect(told).toEqual([once, once]);
    expect(both.bridged.app.bridgeErrors).toEqual([]);
  });

  it.each([
    ["get", "/whoami"],
    ["set", "/set?a=1"],
  ])("by %s is a 503 without errorHandler, and nobody is logged out", async (method, path) => {
    let isAway = false;
    const both = await tests.start(
      generic(({ client }) => ({
        store: {
          ...client,
          [method]: (...of: [string, unknown, unknown]) =>
            isAway ? Promise.reject(failure) : client[method as "set"](...of),
        },
      })),
      { handlers: genericHandlers },
    );
    await both.plain.browser.get(login);
    const browser = both.moved();

    isAway = true;
    const response = await browser.get(path);
    isAway = false;

    expect([response.status, response.body.code]).toEqual([503, "legacy-store-unavailable"]);
    expect(response.setCookie).toEqual([]);
    expect((await browser.get("/whoami")).body.session).toEqual({ userId: "ada" });
  });

  it.each(["before it", "during it"])(
    "of the bridge, away %s, is never told to errorHandler, nor costs a session",
    async (when) => {
      const told: Told = [];
      const rename = (from: string, to: string) =>
        tests.database.pool.query(`alter table "${from}" rename to "${to}"`);
      const goAway = () => rename("sessionStore", "away");
      const wait =
        (handler: Handler): Handler =>
        async (ctx) => {
          await handler(ctx);
          if (when === "during it") await goAway();
        };
      const both = await tests.start(
        generic(() => errorHandlerTo(told)),
        {
          handlers: {
            ...genericHandlers,
            "/set": wait(genericHandlers["/set"]!),
            "/logout": wait(genericHandlers["/logout"]!),
          },
        },
      );
      const { browser } = both.bridged;
      await browser.get(login);

      for (const path of ["/set?a=1", "/logout"]) {
        if (when === "before it") await goAway();
        const { status, setCookie } = await browser.get(path);
        await rename("away", "sessionStore");
        expect([path, status, setCookie]).toEqual([path, 503, []]);
        expect((await browser.get("/whoami")).body.session).toEqual({ userId: "ada" });
      }
      expect(told).toEqual([]);
    },
  );

  it("is not the only failure that errorHandler is told of: so is a cookie that cannot be set", async () => {
    const told: Told = [];
    const both = await tests.start(
      generic(() => ({ cookie: { secure: true }, ...errorHandlerTo(told) })),
      { handlers: genericHandlers },
    );

    expect((await both.get(login)).status).toBe(200);

    expect(told.map(([error, type]) => [String(error), type])).toEqual(
      Array(2).fill(["Error: Cannot send secure cookie over unencrypted connection", "set"]),
    );
  });
});

describe("A store of koa-generic-session that says when it is away", () => {
  async function startAway(reconnectTimeout: number, told: Told = []) {
    const stores: EventEmitter[] = [];
    const both = await tests.start(
      generic(({ client }) => {
        const store = Object.assign(new EventEmitter(), client);
        stores.push(store);
        return { store, reconnectTimeout, genSid: () => randomUUID(), ...errorHandlerTo(told) };
      }),
      { handlers: genericHandlers },
    );
    await both.plain.browser.get(login);
    const browser = both.moved();
    await both.plain.browser.get("/logout");
    await both.plain.browser.get(login);
    const other = both.moved();
    const tell = (event: string) => {
      for (const store of stores) store.emit(event);
    };
    const tellOurs = (event: string) => stores[1]!.emit(event);
    return { both, browser, other, tell, tellOurs };
  }

  it("has a cookie wait until it is back", async () => {
    const { both, browser, tell } = await startAway(60_000);
    const answered: string[] = [];
    tell("disconnect");
    const waiting = [both.plain.browser, browser].map(async (waiting) => {
      const { body } = await waiting.get("/whoami");
      answered.push(String(body.session.userId));
    });
    // Long enough for an answer, if they did not wait.
    for (let times = 0; times < 5; times += 1) await both.bridged.app.browser().get(login);
    tell("disconnect");
    expect(answered).toEqual([]);

    tell("connect");
    await Promise.all(waiting);

    expect(answered).toEqual(["ada", "ada"]);
  });

  it("costs nobody the session when it stays away, until it is back", async () => {
    const told: Told = [];
    const { both, browser, other, tell, tellOurs } = await startAway(20, told);
    tell("disconnect");
    const [alone, ...ours] = [
      await both.plain.browser.get("/whoami"),
      await browser.get("/whoami"),
      await browser.get("/set?a=1"),
    ];
    tell("connect");

    expect([alone.status, alone.setCookie]).toEqual([500, []]);
    for (const { status, setCookie } of ours) expect([status, setCookie]).toEqual([503, []]);
    expect(told).toEqual([]);
    expect((await browser.get("/whoami")).body.session).toEqual({ userId: "ada" });

    tellOurs("disconnect");
    expect((await other.get("/whoami")).status).toBe(503);
    tellOurs("connect");
    expect((await other.get("/whoami")).body.session).toEqual({ userId: "ada" });
  });

  it("keeps no upgraded session waiting, by cookie or by bearer", async () => {
    const { both, browser, tell } = await startAway(60_000);
    const pair = pairIn(await browser.get("/whoami"));
    tell("disconnect");

    const byBearer = await whoami(both.bridged.app.url, pair);
    const byCookie = await browser.get("/count");
    tell("connect");

    expect(byBearer.body.session).toEqual({ userId: "ada" });
    expect(byCookie.body.session).toEqual({ userId: "ada", count: 1 });
  });
});

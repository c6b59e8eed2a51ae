import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Mode } from "../../src/index.js";
import { type Handler, type RunningApp, tokensOf } from "../support/app.js";
import { held } from "../support/held.js";
import { compasSystem } from "../support/systems/compas.js";
import { cookieSessionSystem } from "../support/systems/cookie-session.js";
import { expressSessionSystem } from "../support/systems/express-session.js";
import { named } from "../support/systems/index.js";
import { koaGenericSessionSystem } from "../support/systems/koa-generic-session.js";
import { koaSessionSystem } from "../support/systems/koa-session.js";
import type { OldSystem } from "../support/systems/old-system.js";
import { flowsOfTest, type SystemFlow } from "../support/systems/system-flow.js";
import { lifetimeOf, pairIn, pairInBody, refresh, whoami } from "../support/tokens.js";

const start = flowsOfTest();
const user = { userId: "user-1" };
const minute = 60_000;
const hour = 60 * minute;
const century = 100 * 365 * 24 * hour;

const withHandlers = (flow: SystemFlow, handlers: Record<string, Handler>) => ({
  handlers: { ...flow.application.bridged.handlers, ...handlers },
});

describe("Of a session of express-session that lives on because it is used,", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  const pass = (milliseconds: number) => vi.setSystemTime(Date.now() + milliseconds);
  const modes: Mode[] = ["observe", "bridge"];

  it.each(modes)("the store is told by touch alone, in %s", async (mode) => {
    const flow = await start(expressSessionSystem);
    const app = await flow.bridged({ mode });
    const writes = /^(insert into|update|delete from) "session" /i;
    for (const [later, expected] of [
      [minute - 1, []],
      [minute, [expect.stringMatching(/^update "session" set expire = /i)]],
    ] as const) {
      const browser = (await flow.loginBefore()).clone({ baseUrl: app.url });
      pass(later);
      flow.database.statements.reset();
      expect((await browser.get("/whoami")).body.session).toEqual(user);
      expect(flow.database.queries.filter((text) => writes.test(text))).toEqual(expected);
    }
  });

  it("a slow request that only reads does not undo another's change, in observe", async () => {
    const flow = await start(expressSessionSystem);
    const slow = held();
    const app = await flow.bridged({
      mode: "observe",
      ...withHandlers(flow, { "/slow": slow.handler }),
    });
    const browser = (await flow.loginBefore()).clone({ baseUrl: app.url });
    pass(2 * minute);

    const pending = browser.clone().get("/slow");
    await slow.inside;
    await browser.get("/set?added=1");
    slow.goOn();
    await pending;

    expect(await flow.application.rows()).toMatchObject([{ data: { ...user, added: "1" } }]);
  });

  it.each(modes)(
    "a slow request that only reads does not undo a logout without the bridge, in %s",
    async (mode) => {
      const flow = await start(expressSessionSystem);
      const slow = held();
      const app = await flow.bridged({ mode, ...withHandlers(flow, { "/slow": slow.handler }) });
      const before = await flow.loginBefore();
      const copy = before.clone({ baseUrl: app.url });
      pass(2 * minute);

      const pending = copy.clone().get("/slow");
      await slow.inside;
      await before.get("/logout");
      slow.goOn();

      expect(tokensOf(await pending).accessToken).toBeUndefined();
      expect(await flow.application.rows()).toEqual([]);
      expect(await flow.loggedIn()).toBe(0);
      expect((await copy.get("/whoami")).body.session).toEqual({});
    },
  );

  it("an upgraded one lives as long as its row", async () => {
    const flow = await start(expressSessionSystem);
    const app = await flow.bridged();
    // A client that keeps the cookie for longer than it was told to.
    const browser = app.browser();
    for (const cookie of (await flow.loginBefore()).cookies) browser.cookies.set(...cookie);
    for (const _ of ["upgraded", "touched", "touched again"]) {
      pass(20 * hour);
      expect((await browser.get("/whoami")).body.session).toEqual(user);
      const [row] = (await flow.database.pool.query(`select "expire" from "session"`)).rows;
      const [link] = await flow.tableRows("sessionBridgeLink");
      expect(Math.abs(row.expire - link.expiresAt)).toBeLessThan(2000);
    }
    pass(24 * hour);
    expect((await browser.get("/whoami")).body.session).toEqual({});
  });
});

describe("A session without an expiry of its own,", () => {
  type Row = [name: string, system: OldSystem, options: object, column: string];
  const kinds: Row[] = [
    ["express-session's", expressSessionSystem, { cookie: {} }, "expire"],
    [
      "express-session's, read with its link",
      expressSessionSystem,
      { cookie: {}, isInSameDatabase: true },
      "expire",
    ],
    ["Compas's", compasSystem(), { maxAge: "session", keepPublicCookie: false }, "expires"],
  ];
  it.each(kinds)("%s, lasts as long as its row", async (_, system, options, column) => {
    const flow = await start(system, { options });
    const app = await flow.bridged();
    const ends = {
      expired: `update "session" set "${column}" = now() - interval '1 minute'`,
      gone: `delete from "session"`,
    };
    for (const end of Object.values(ends)) {
      const { browser } = await flow.upgraded(app);
      expect((await browser.get("/whoami")).body.session).toEqual(user);
      await flow.database.pool.query(end);
      for (const path of ["/whoami", "/untouched", "/whoami"]) {
        const response = await browser.get(path);
        expect(response.body.session ?? {}).toEqual({});
        expect(tokensOf(response).accessToken).toBeUndefined();
      }
    }
  });
});

describe("A lifetime of a session's own", () => {
  const short: Handler = (ctx) => {
    ctx.session.maxAge = minute;
    ctx.body = {};
  };

  it.each(named([expressSessionSystem, cookieSessionSystem]))(
    "that a handler gives one of %s is that of its refresh token",
    async (_, system) => {
      const flow = await start(system);
      const app: RunningApp = await flow.bridged(
        withHandlers(flow, {
          "/short": short,
          "/issue": async (ctx) => {
            ctx.body = await app.bridge.issueTokens(ctx);
          },
        }),
      );
      const { browser, pair } = await flow.upgraded(app);
      expect((await browser.get("/short")).status).toBe(200);
      const renewed = pairInBody(await refresh(app.url, pair.refreshToken));
      expect(lifetimeOf(renewed.refreshToken)).toBe(60);
      const { body: further } = await browser.get("/issue");
      expect(lifetimeOf(further.refreshToken)).toBe(60);

      const another = (await flow.login("user-2")).clone({ baseUrl: app.url });
      expect(lifetimeOf(pairIn(await another.get("/short")).refreshToken)).toBe(60);
      expect((await another.get("/whoami")).body.session).toEqual({ userId: "user-2" });
    },
  );

  it.each([
    ["of an hour, where none is configured,", hour, {}, 3600],
    ["of a hundred years", century, { maxAge: hour }, undefined],
  ])("%s is taken over from express-session", async (_, maxAge, cookie, seconds) => {
    const flow = await start(expressSessionSystem, { options: { cookie: { maxAge } } });
    const legacy = expressSessionSystem.on(flow.database.pool, { options: { cookie } }).source();
    const app = await flow.bridged({ legacy });

    const { browser, pair } = await flow.upgraded(app);

    if (seconds !== undefined) expect(lifetimeOf(pair.refreshToken)).toBe(seconds);
    expect((await whoami(app.url, pair)).body.session).toEqual(user);
    expect((await browser.get("/count")).body.session).toEqual({ ...user, count: 1 });
    expect([...app.errors, ...app.bridgeErrors]).toEqual([]);
  });

  const systems: [name: string, system: OldSystem, handler: Handler][] = [
    koaSessionSystem("7"),
    koaSessionSystem("7", { hasStore: false }),
    compasSystem(),
    koaGenericSessionSystem,
  ].map((system) => [
    system.name,
    system,
    (ctx) => {
      const isGeneric = system === koaGenericSessionSystem;
      (isGeneric ? ctx.session.cookie : ctx.session).maxAge = century;
      ctx.session.stays = true;
      ctx.body = {};
    },
  ]);
  it.each(systems)("of a hundred years costs no session of %s", async (_, system, handler) => {
    const flow = await start(system);
    const [app, observing] = [
      await flow.bridged(withHandlers(flow, { "/century": handler })),
      await flow.bridged({ mode: "observe", ...withHandlers(flow, { "/century": handler }) }),
    ];
    const linked = await flow.upgraded(app);
    expect((await linked.browser.get("/century")).status).toBe(200);
    expect((await whoami(app.url, linked.pair)).body.session.stays).toBe(true);

    const before = await flow.login();
    await before.clone({ shared: true, baseUrl: observing.url }).get("/century");
    await flow.identified(before);
    const pair = pairIn(await before.clone({ baseUrl: app.url }).get("/whoami"));

    expect((await whoami(app.url, pair)).body.session.stays).toBe(true);
    expect([...app.errors, ...app.bridgeErrors, ...observing.errors]).toEqual([]);
  });
});

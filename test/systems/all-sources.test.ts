import genericSession from "koa-generic-session";
import { afterEach, describe, expect, it, vi } from "vitest";
import { koaGenericSession, type LegacySource, sessionBridge } from "../../src/index.js";
import { MapStore, signingKeys } from "../support/app.js";
import { compasSystem } from "../support/systems/compas.js";
import { cookieSessionSystem } from "../support/systems/cookie-session.js";
import { createPgStore, expressSessionSystem } from "../support/systems/express-session.js";
import { koaGenericSessionSystem } from "../support/systems/koa-generic-session.js";
import { koaSessionMinimalSystem } from "../support/systems/koa-session-minimal.js";
import { koaSessionSystem } from "../support/systems/koa-session.js";
import type { OldSystem } from "../support/systems/old-system.js";
import {
  loggedIn,
  type Old,
  sessionOf,
  SeveralSources,
} from "../support/systems/several-sources.js";
import { pairIn, whoami } from "../support/tokens.js";
import { Koa } from "../support/versions.js";

const koa = koaSessionSystem("7");
const compas = compasSystem();
const on = new SeveralSources([koa, compas]);
afterEach(() => {
  vi.useRealTimers();
});

describe("All old systems at once", () => {
  async function all(): Promise<Record<string, Old>> {
    // Of its own accord it takes the name of Compas's table.
    const store = createPgStore(on.pool, { tableName: "expressSession" });
    await on.pool.query(
      `create table "expressSession"
      ("sid" varchar primary key, "sess" json not null, "expire" timestamp(6) not null)`,
    );
    return {
      seven: await on.old(koa),
      compas: await on.old(compas),
      five: await on.old(koaSessionSystem("5")),
      six: await on.old(koaSessionSystem("6"), { options: { key: "six.sess" } }),
      inCookie: await on.old(koaSessionSystem("7", { hasStore: false }), {
        options: { key: "data.sess" },
      }),
      minimal: await on.old(koaSessionMinimalSystem, { options: { key: "minimal.sess" } }),
      generic: await on.old(koaGenericSessionSystem),
      express: await on.old(expressSessionSystem, { options: { store } }),
      cookie: await on.old(cookieSessionSystem),
    };
  }

  it("have each cookie alone open its session, which becomes a token session of its own", async () => {
    const olds = await all();
    const app = await on.bridged(Object.values(olds));
    for (const [user, each] of Object.entries(olds)) {
      const browser = await loggedIn(app, { [user]: each });
      expect((await sessionOf(browser))["userId"]).toBe(user);
      on.clock.advance(10);
      const pair = pairIn(await browser.get("/whoami"));
      expect((await whoami(app.url, pair)).body.session).toMatchObject({ userId: user });
    }

    const sources = Object.values(olds).map((each) => each.source().name);
    expect(
      (await on.rows("sessionBridgeLink")).map(({ source }) => source as string).sort(),
    ).toEqual([...sources].sort());
    const { legacyCookies, upgraded } = app.counts();
    expect(upgraded).toBe(sources.length);
    for (const source of sources)
      expect(legacyCookies[source]).toMatchObject({ hit: 2, missed: 0 });
    expect([...app.errors, ...app.bridgeErrors]).toEqual([]);
  });

  it("serve in the order of the sources", async () => {
    const olds = await all();
    const app = await on.bridged(Object.values(olds));
    const browser = await loggedIn(app, olds);
    for (const [user, each] of Object.entries(olds)) {
      expect((await sessionOf(browser))["userId"]).toBe(user);
      for (const name of each.source().cookieNames) browser.cookies.delete(name);
    }
    expect([...browser.cookies.keys()]).toEqual([]);
  });

  it("end together, with all cookies, when the first is logged out", async () => {
    const olds = await all();
    const app = await on.bridged(Object.values(olds));
    const browser = await loggedIn(app, olds);
    await browser.get("/whoami");
    on.clock.advance(10);
    const stolen = browser.clone();

    await browser.get("/logout");

    expect([...browser.cookies.keys()]).toEqual([]);
    expect(await sessionOf(stolen)).toEqual({});
    expect([...app.errors, ...app.bridgeErrors]).toEqual([]);
  });
});

it("A cookie with data whose time is over leaves the request to the next", async () => {
  const olds = [await on.old(koaSessionSystem("7", { hasStore: false })), await on.old(compas)];
  const [dying, living] = olds as [Old, Old];
  const app = await on.bridged(olds);
  const kept = (await loggedIn(app, { dying })).cookies;
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 2 * 86_400_000 });
  const browser = await loggedIn(app, { living });
  for (const [name, value] of kept) browser.cookies.set(name, value);

  expect(await sessionOf(browser)).toEqual({ userId: "living" });
});

it("A new session gets the cookie of the first source that can write one", async () => {
  const writing = await on.old(koa);
  const app = await on.bridged([await on.old(cookieSessionSystem), writing]);
  const browser = app.browser();
  await browser.get("/login?user=new");
  expect([...browser.cookies.keys()].sort()).toEqual([...koa.cookieNames].sort());
  expect(await sessionOf(browser.clone({ baseUrl: writing.plain.url }))).toEqual({ userId: "new" });
});

describe("Refused at construction, because nothing tells them apart, are two sources", () => {
  const sessionIdStore = { get: () => undefined, set: () => undefined, reset: () => undefined };
  const elsewhere = () =>
    koaGenericSession(genericSession, { store: new MapStore(), sessionIdStore });
  const source = (system: OldSystem) => system.on(on.pool).source();
  const cases: Record<string, [legacy: () => LegacySource[], problem: string]> = {
    "with a cookie of one name": [
      () => [source(koaSessionSystem("5")), source(koaSessionMinimalSystem)],
      "legacy[1]: has the same cookie koa:sess as legacy[0]",
    ],
    "with one name and no cookies": [
      () => [elsewhere(), elsewhere()],
      "legacy[1]: has the same name koa-generic-session:koa.sid as legacy[0]",
    ],
    "with one name, one of them with a cookie": [
      () => [elsewhere(), source(koaGenericSessionSystem)],
      "legacy[1]: has the same name koa-generic-session:koa.sid as legacy[0]",
    ],
  };
  it.each(Object.entries(cases))("%s", (_, [legacy, problem]) => {
    const { pool } = on;
    const make = () =>
      sessionBridge({ legacy: legacy(), pool, tokens: { signingKeys } }, new Koa());
    expect(make).toThrow(TypeError);
    expect(make).toThrow(problem);
  });
});

import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { compasLegacyStore, compasSession } from "../../src/index.js";
import { bearer, MapStore } from "../support/app.js";
import { testDatabase, type TestDatabase } from "../support/database.js";
import { compasServer, compasSystem, createCompasTable } from "../support/systems/compas.js";
import {
  type CompasEnvironment,
  development,
  production,
  setCompasEnvironment,
} from "../support/systems/compas-environment.js";
import { flowsOfTest } from "../support/systems/system-flow.js";
import { pairIn } from "../support/tokens.js";
import { koaSessionOf } from "../support/versions.js";

const start = flowsOfTest();
const id = "8d546181-7cfd-426b-a977-a512777f4e4e";
const minute = 60_000;

describe("The old sessions of Compas", () => {
  const database: { test?: TestDatabase } = {};
  afterAll(() => database.test?.drop());
  beforeEach(async () => {
    if (database.test === undefined) {
      database.test = await testDatabase();
      await createCompasTable(database.test.pool);
    }
    await database.test.pool.query(`truncate "session"`);
  });
  const legacy = () => compasLegacyStore(database.test!.pool);
  const rows = async () =>
    (await database.test!.pool.query<{ id: string; expires: Date }>(`select * from "session"`))
      .rows;

  it("are read as they were written, and written again in place", async () => {
    await legacy().set(id, { a: { z: 1, "ü€": [null] }, _expire: 1 }, minute);
    await legacy().set(id, { a: 2 }, minute);
    expect(await legacy().get(id)).toEqual({ a: 2 });
    expect(await rows()).toHaveLength(1);
  });

  it.each([
    ["a number of milliseconds", 5 * minute, 5 * minute],
    ["a session of the browser", "session", 30 * minute],
    ["nothing", undefined, 30 * minute],
  ])("told to be kept for %s, expire when Compas has them expire", async (_, maxAge, lifetime) => {
    const before = Date.now();
    await legacy().set(id, {}, maxAge);
    const [row] = await rows();
    expect(row!.expires.getTime() - before).toBeGreaterThanOrEqual(lifetime);
    expect(row!.expires.getTime() - Date.now()).toBeLessThanOrEqual(lifetime);
  });

  it.each([
    ["unknown", id],
    ["no UUID", "'; drop table"],
    ["nearly a UUID", `${id}0`],
  ])("are false for an id that is %s, and destroying it does nothing", async (_, key) => {
    expect(await legacy().get(key)).toBe(false);
    await legacy().destroy(key);
  });

  it("are not given once expired, and deleted by clean alone", async () => {
    const live = "06dd47df-685e-49ad-a889-a8bd93de8417";
    await legacy().set(id, {}, -1);
    await legacy().set(live, {}, minute);
    expect(await legacy().get(id)).toBe(false);
    expect(await rows()).toHaveLength(2);
    await legacy().clean();
    expect((await rows()).map((row) => row.id)).toEqual([live]);
  });

  it("need a pool", () => {
    expect(() => compasLegacyStore({} as never)).toThrow(/compasLegacyStore: .* must be a pg Pool/);
  });
});

describe("compasSession", () => {
  const told = (environment: Partial<CompasEnvironment>, session: unknown, config = {}) => {
    setCompasEnvironment({ ...development, APP_NAME: "", ...environment });
    return () => compasSession(session as never, config);
  };
  const koaSession5 = koaSessionOf("5");
  const { APP_KEYS: _, ...withoutKeys } = production;

  it.each([
    [
      "no middleware",
      told,
      development,
      {},
      {},
      /first argument must be session of @compas\/server/,
    ],
    ["no name", told, {}, compasServer, {}, /APP_NAME is missing/],
    [
      "no keys in production",
      told,
      withoutKeys,
      compasServer,
      {},
      /APP_KEYS is missing or shorter/,
    ],
    [
      "a public cookie over koa-session 5",
      told,
      development,
      koaSession5,
      { keepPublicCookie: true },
      /keepPublicCookie needs koa-session 6/,
    ],
  ] as const)(
    "refuses %s and says what to do",
    (_, make, environment, session, config, message) => {
      expect(make(environment, session, config)).toThrow(message);
      expect(make(environment, session, config)).toThrow(/^compasSession: /);
    },
  );

  it.each([
    ["of a class", () => new MapStore()],
    ["of functions", () => ({ get: () => 0, set: () => 0, destroy: () => 0 })],
  ])("leaves a store %s and the options as they are", (_, make) => {
    setCompasEnvironment(development);
    const store = Object.freeze(make());
    const names = Object.keys(store);
    const config = Object.freeze({ store, keepPublicCookie: true });
    const source = compasSession(compasServer as never, config);
    source.install(Object.assign({ use: () => undefined, context: {} }) as never, {} as never);
    expect(Object.keys(store)).toEqual(names);
  });
});

describe("Without Compas's table", () => {
  it.each([
    ["observe", "legacy-store-unavailable"],
    ["bridge", "schema-missing"],
  ] as const)("in mode %s a cookie gets 503 %s, and an event tells why", async (mode, code) => {
    const flow = await start(compasSystem(development));
    const browser = await flow.loginBefore();
    const app = await flow.bridged({ mode });
    const told: Error[] = [];
    app.bridge.on("error", (error) => told.push(error));
    await flow.database.pool.query(`alter table "session" rename to "elsewhere"`);
    const refused = await browser.clone({ shared: true, baseUrl: app.url }).get("/whoami");
    await flow.database.pool.query(`alter table "elsewhere" rename to "session"`);
    expect(refused.status).toBe(503);
    expect(refused.body).toMatchObject({ code });
    expect(told).toMatchObject(mode === "observe" ? [{ code: "schema-missing" }] : []);
    expect(app.errors).toMatchObject([{ code, cause: { code: "42P01" } }]);
  });
});

describe("Compas's public cookie", () => {
  const systems = [compasSystem(development), compasSystem(production)].map(
    (system) => [system.name, system] as const,
  );

  it.each(systems)("of %s stands and falls with the session's", async (_, system) => {
    const flow = await start(system);
    const app = await flow.bridged();
    const [name, , publicName] = system.cookieNames;
    const browser = app.browser();

    await browser.get("/login");
    expect(browser.cookies.get(publicName!)).toBe("truthy");
    const pair = pairIn(await browser.get("/count"));
    const changed = await app.browser().get("/count", bearer(pair.accessToken));
    expect(changed.setCookie).toEqual([]);
    await browser.get("/logout", bearer(pair.accessToken));
    expect([browser.cookies.has(name), browser.cookies.has(publicName!)]).toEqual([false, false]);
  });

  it.each(systems)("of %s goes with a cookie that the mode drops", async (_, system) => {
    const flow = await start(system);
    const browser = await flow.loginBefore();
    const app = await flow.bridged({ mode: "tokens" });
    await browser.clone({ shared: true, baseUrl: app.url }).get("/whoami");
    expect([...browser.cookies.keys()]).toEqual([]);
  });
});

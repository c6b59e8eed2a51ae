import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Mode } from "../../src/index.js";
import { bearer, MapStore, startBridgedApp, startPlainApp, tokensOf } from "../support/app.js";
import type { Browser } from "../support/client.js";
import { testDatabase, type TestDatabase } from "../support/database.js";
import {
  operate,
  type ReadValue,
  type Seen,
  send,
  sequences,
  type Step,
} from "../support/differential.js";

const runs = Number(process.env["DIFFERENTIAL_RUNS"] ?? 15);
const seed = Number(process.env["DIFFERENTIAL_SEED"] ?? 1);
const start = new Date("2026-06-01T12:00:00Z");

/** An old store, for each side its own, and the keys that are made in it. */
class Side {
  readonly store = new MapStore();
  #made = 0;
  /** The same ids on each side. */
  readonly genid = (prefix = "") =>
    `${prefix}00000000-0000-4000-8000-${String(++this.#made).padStart(12, "0")}`;

  restart() {
    this.store.entries.clear();
    this.#made = 0;
  }
}

const encode = (value: object) => encodeURIComponent(JSON.stringify(value));
const decode = (cookie: string) =>
  JSON.parse(decodeURIComponent(cookie)) as Record<string, unknown>;
const fromBase64 = (cookie: string) =>
  JSON.parse(Buffer.from(cookie, "base64").toString("utf8")) as Record<string, unknown>;

const variants: Record<string, (side: Side) => object> = {
  "a store": ({ store, genid }) => ({ store, genid: () => genid() }),
  "a store, ids of its own making and rolling": ({ store, genid }) => ({
    store,
    genid: () => genid("sess:"),
    rolling: true,
    maxAge: 60_000,
  }),
  "a store and a prefix": ({ store }) => ({ store, prefix: "sess:" }),
  "a store, renewed when half of maxAge is over": ({ store, genid }) => ({
    store,
    genid: () => genid(),
    renew: true,
    maxAge: 60_000,
  }),
  "a ContextStore": ({ store, genid }) => ({
    genid: () => genid(),
    ContextStore: class {
      get(key: string) {
        return store.get(key);
      }
      set(key: string, value: unknown) {
        return store.set(key, value);
      }
      destroy(key: string) {
        return store.destroy(key);
      }
    },
  }),
  "an external key": ({ store, genid }) => ({
    store,
    genid: () => genid(),
    externalKey: {
      get: (ctx: any) => ctx.cookies.get("key-of-mine") as string | undefined,
      set: (ctx: any, key: string) => ctx.cookies.set("key-of-mine", key),
    },
  }),
  "the data in the cookie": () => ({ maxAge: 60_000 }),
  "the data in the cookie, renewed": () => ({ maxAge: 60_000, renew: true, signed: true }),
  "the data in the cookie, encoded by the application": () => ({ encode, decode, rolling: true }),
  "the data in an unsigned cookie": () => ({ signed: false, maxAge: "session" }),
};

const hasRandomIds = (name: string) => name.endsWith("prefix");

/** Puts numbers for ids that are random, in the order in which they turn up. */
function numbered(seen: Seen[]): Seen[] {
  const ids: string[] = [];
  const text = JSON.stringify(seen).replace(/[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/g, (id) => {
    if (!ids.includes(id)) ids.push(id);
    return `id ${ids.indexOf(id)}`;
  });
  return JSON.parse(text) as Seen[];
}

/** A data cookie's payload in place of its value; of a signature, whether there is one. */
const readerOf = (name: string, mode: Mode): ReadValue => {
  const isInCookie = name.startsWith("the data");
  const read = name.includes("encoded by") ? decode : fromBase64;
  return (cookie, value) => {
    if (cookie.endsWith(".sig")) return isInCookie || hasRandomIds(name) ? value !== "" : value;
    if (!isInCookie || value === "") return value;
    const payload = read(value);
    // The one member that the bridge may add, and never in observe.
    if (mode !== "observe") delete payload["_bridge"];
    return payload;
  };
};

let database: TestDatabase;
beforeEach(async () => {
  database = await testDatabase();
  // Both sides at the very same time, which moves when a sequence says so. PostgreSQL has its own.
  vi.useFakeTimers({ toFake: ["Date"], now: start });
});
afterEach(async () => {
  vi.useRealTimers();
  await database.drop();
});

const cases = Object.entries(variants).flatMap(([name, configure]) =>
  (["observe", "bridge"] as const).map((mode) => [name, mode, configure] as const),
);

describe(`Any sequence of session operations, from seed ${seed}`, () => {
  it.each(cases)("with %s looks like plain koa-session in %s", async (name, mode, configure) => {
    const sides = [new Side(), new Side()] as const;
    const handlers = { "/operate": operate };
    const plain = await startPlainApp(configure(sides[0]), handlers);
    const bridged = await startBridgedApp(database.pool, {
      config: configure(sides[1]),
      handlers,
      mode,
    });
    const read = readerOf(name, mode);

    async function play(browser: Browser, sequence: readonly Step[]): Promise<Seen[]> {
      const tabs = [browser, browser.clone({ shared: true }), browser.clone({ shared: true })];
      const seen: Seen[] = [];
      for (const step of sequence) {
        vi.setSystemTime(Date.now() + step.secondsLater * 1000);
        seen.push(await send(tabs[step.tab]!, step, read));
      }
      return hasRandomIds(name) ? numbered(seen) : seen;
    }
    const rows = ({ store }: Side) =>
      hasRandomIds(name) ? [...store.entries.values()] : Object.fromEntries(store.entries);

    const property = fc.asyncProperty(sequences, async (sequence) => {
      for (const side of sides) side.restart();
      await database.pool.query(`truncate "sessionStore", "sessionBridgeLink" cascade`);
      vi.setSystemTime(start);
      const expected = await play(plain.browser(), sequence);
      vi.setSystemTime(start);
      const browser = bridged.browser();
      expect(await play(browser, sequence)).toEqual(expected);
      expect(rows(sides[1])).toEqual(rows(sides[0]));
      const seconds = sequence.reduce((sum, { secondsLater }) => sum + secondsLater, 0);
      await expectOneTruth(browser, mode, seconds < 30);
      expect(bridged.errors).toEqual([]);
      expect(bridged.bridgeErrors).toEqual([]);
    });
    try {
      await fc.assert(property, { seed, numRuns: runs });
    } finally {
      await plain.close();
      await bridged.close();
    }
  });
});

/** What the cookie shows is what the tokens show. Nothing else is alive, unless a cookie has expired. */
async function expectOneTruth(browser: Browser, mode: Mode, isOnly: boolean): Promise<void> {
  const { rows } = await database.pool.query<{ data: unknown }>(
    `select "data" from "sessionStore" where "revokedAt" is null`,
  );
  if (mode === "observe") expect(rows).toEqual([]);
  const response = await browser.get("/whoami");
  const { accessToken } = tokensOf(response);
  if (accessToken === undefined) return;
  if (isOnly) expect(rows.map(({ data }) => data)).toEqual([response.body.session]);
  const byBearer = await browser.get("/whoami", bearer(accessToken));
  expect(byBearer.body.session).toEqual(response.body.session);
}

describe("An object that is set again, with its members in the same order,", () => {
  it.each(["a store", "the data in the cookie"])("is no change with %s", async (name) => {
    const sides = [new Side(), new Side()] as const;
    const handlers = {
      "/set-again": (ctx: any) => {
        void ctx.session.userId;
        ctx.session = { userId: "x", a: 1 };
      },
    };
    const apps = [
      await startPlainApp(variants[name]!(sides[0]), handlers),
      await startBridgedApp(database.pool, { config: variants[name]!(sides[1]), handlers }),
    ];

    for (const app of apps) {
      const browser = app.browser();
      expect((await browser.get("/set-again")).setCookie).toHaveLength(2);
      expect((await browser.get("/set-again")).setCookie).toEqual([]);
      const { body } = await browser.get("/whoami");
      expect(Object.keys(body.session as object)).toEqual(["userId", "a"]);
    }
    for (const app of apps) await app.close();
  });
});

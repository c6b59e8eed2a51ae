import { afterEach, beforeEach, expect, test } from "vitest";
import type { SessionBridgeOptions } from "../../src/index.js";
import { bearer, type RunningApp, startBridgedApp } from "../support/app.js";
import type { Browser } from "../support/client.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { startFleet } from "../support/fleet.js";
import { cookieName } from "../support/flow.js";
import { secrets } from "../support/secrets.js";
import { login } from "../support/tokens.js";

let database: TestDatabase;
let app: RunningApp | undefined;
beforeEach(async () => {
  database = await testDatabase();
});
afterEach(async () => {
  await app?.close();
  app = undefined;
  await database.drop();
});

const start = async (labels: SessionBridgeOptions["labels"]) =>
  (app = await startBridgedApp(database.pool, { labels: labels! }));

/** Each set of labels that cookies were counted with, to the number. */
async function counted(): Promise<Map<string, number>> {
  await app?.bridge.status();
  const { rows } = await database.pool.query<{ labels: object; count: number }>(
    `select "labels", sum("count")::int as "count" from "sessionBridgeHit"
    where "counter" = 'legacy_cookies' group by 1`,
  );
  return new Map(rows.map(({ labels, count }) => [JSON.stringify(labels), count]));
}

async function visits(browser: Browser, clients: readonly string[]): Promise<void> {
  for (const client of clients)
    await browser.get("/untouched", { headers: { "x-client": client } });
}

const sum = (counts: Map<string, number>) => [...counts.values()].reduce((a, b) => a + b, 0);

test("a label keeps 100 values; the others are counted as other", async () => {
  const { browser } = await login(await start((ctx) => ({ client: ctx.get("X-Client") })));
  await visits(
    browser,
    Array.from({ length: 300 }, (_, index) => `version ${index}`),
  );
  const counts = await counted();
  expect(counts.size).toBe(101);
  expect(counts.get(`{"client":"other"}`)).toBe(200);
  expect(sum(counts)).toBe(300);
});

// Each process may take 100 values before it has heard of those of the others, which is with its first flush.
test("three processes keep 300 values at the very most, and learn those of the others", async () => {
  const fleet = await startFleet(database, 3, { SESSION_BRIDGE_MODE: "bridge" });
  app = await startBridgedApp(database.pool, { config: {} });
  try {
    const browsers = await Promise.all(
      fleet.baseUrls.map(async (baseUrl) => {
        const browser = app!.browser().clone({ baseUrl });
        await browser.get("/login");
        return browser;
      }),
    );
    const values = Array.from({ length: 80 }, (_, index) => `version ${index}`);
    await visits(browsers[0]!, values);
    await expect.poll(async () => (await counted()).size, { timeout: 10_000 }).toBe(80);
    // The second one flushes, and learns those 80: of its own, 20 remain.
    await visits(browsers[1]!, ["version 0"]);
    await expect
      .poll(async () => (await counted()).get(`{"client":"version 0"}`), { timeout: 10_000 })
      .toBe(2);
    const others = Array.from({ length: 100 }, (_, index) => `another ${index}`);
    await visits(browsers[1]!, others);
    await expect.poll(async () => sum(await counted()), { timeout: 10_000 }).toBe(181);
    expect((await counted()).size).toBe(101);
    expect((await counted()).get(`{"client":"other"}`)).toBe(80);
    // The third has only heard of the first 100 with its first flush.
    await visits(browsers[2]!, ["a third", "version 1"]);
    await expect.poll(async () => sum(await counted()), { timeout: 10_000 }).toBe(183);
    expect((await counted()).size).toBe(102);
  } finally {
    await fleet.close();
  }
}, 60_000);

test("whatever the function gives is bounded, storable and costs no request", async () => {
  const cycle: Record<string, unknown> = {};
  cycle["cycle"] = cycle;
  const hostile: unknown[] = [
    { client: "nul \0 and \u0007" },
    { client: "lone \ud800 surrogate" },
    { client: "\udfff", "na\0me": "x" },
    { client: "x".repeat(10_000) },
    { ["n".repeat(10_000)]: "long name" },
    { client: cycle },
    { client: { toString: null } },
    { client: Symbol("symbol") },
    { client: 10n, other: 1.5, third: true, nothing: null, missing: undefined },
    { __proto__: null, constructor: "c", toString: "t" },
    { client: '\'; drop table "sessionBridgeHit"; --' },
    Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`name ${index}`, "x"])),
    ["an", "array"],
    "text",
    null,
    undefined,
    () => ({ client: "function" }),
    Promise.resolve({ client: "promise" }),
  ];
  let next = 0;
  const { browser } = await login(await start(() => hostile[next] as Record<string, string>));
  for (next = 0; next < hostile.length; next += 1) {
    expect((await browser.get("/whoami")).status).toBe(200);
  }
  const counts = await counted();
  expect(sum(counts)).toBe(hostile.length);
  for (const set of counts.keys()) {
    const labels = Object.entries(JSON.parse(set) as Record<string, string>);
    expect(labels.length).toBeLessThanOrEqual(5);
    for (const [name, value] of labels) {
      expect(name.length).toBeLessThanOrEqual(40);
      expect(value.length).toBeLessThanOrEqual(60);
    }
  }
});

test("a thousand names of labels become twenty", async () => {
  let next = 0;
  const { browser } = await login(await start(() => ({ [`name ${next}`]: "x" })));
  for (next = 0; next < 100; next += 1) await browser.get("/untouched");
  const counts = await counted();
  expect(counts.size).toBe(21);
  expect(counts.get("{}")).toBe(80);
});

test("a credential of the request becomes no label, whole or in part, in a value or a name", async () => {
  let labels: (cookie: string, token: string) => Record<string, string> = () => ({});
  await start((ctx) =>
    labels(ctx.cookies.get(cookieName) ?? "", ctx.get("Authorization").slice(7)),
  );
  const { browser, pair } = await login(app!);
  secrets.noteTokens(pair.accessToken);
  const cookie = browser.cookies.get(cookieName) ?? "";
  secrets.note("cookie value", cookie);
  secrets.note("part of a cookie value", cookie.slice(0, 20));
  secrets.note("part of a token", pair.accessToken.slice(60, 80));
  const attempts: (typeof labels)[] = [
    (value, token) => ({ cookie: value, token }),
    (value, token) => ({ cookie: `session ${value}`, token: `t ${token}` }),
    (value, token) => ({ cookie: value.slice(0, 20), token: token.slice(60, 80) }),
    (value, token) => ({ [value]: "name", [token]: "name", [`my ${value}`]: "name" }),
  ];
  for (labels of attempts) await browser.get("/whoami", bearer(pair.accessToken));
  for (labels of attempts) await browser.get("/whoami");
  expect(sum(await counted())).toBe(8);
  expect(await secrets.leaksInRows(database.directUrl)).toEqual([]);
  // The search finds what it looks for.
  await database.pool.query(`insert into "sessionBridgeHit" values
    (now(), 'c', 's', 'o', jsonb_build_object('client', '${cookie}'), 1)`);
  expect(await secrets.leaksInRows(database.directUrl)).not.toEqual([]);
  await database.pool.query(`delete from "sessionBridgeHit"`);
});

test("nor does an access token from another place than its header", async () => {
  app = await startBridgedApp(database.pool, {
    readAccessToken: ({ query }) => query["token"] as string | undefined,
    labels: ({ url }) => ({ end: url.slice(-30) }),
  });
  const { browser, pair } = await login(app);
  await browser.get(`/untouched?token=${pair.accessToken}`);
  await browser.get("/untouched?of=an-ordinary-page");
  expect([...(await counted()).keys()].sort()).toEqual([
    `{"end":"/untouched?of=an-ordinary-page"}`,
    `{"end":"other"}`,
  ]);
});

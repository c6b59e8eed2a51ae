import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  Counter,
  type OpenMetricsContentType,
  register as defaultRegister,
  Registry,
} from "prom-client";
import type { Mode } from "../../src/index.js";
import { prometheusMetrics } from "../../src/monitor/prometheus.js";
import { defaultMode } from "../../src/mode.js";
import { changeMode } from "../../src/store/mode-log.js";
import { createDatabase } from "../../src/store/database.js";
import { MapStore, type RunningApp, startBridgedApp } from "../support/app.js";
import { TestClock } from "../support/clock.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { login, refresh, whoami } from "../support/tokens.js";

let database: TestDatabase;
let register: Registry;
const apps: RunningApp[] = [];

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.drop());
beforeEach(() => {
  register = new Registry();
});
afterEach(async () => {
  defaultRegister.clear();
  await Promise.all(apps.splice(0).map((app) => app.close()));
});

async function start(options?: Parameters<typeof startBridgedApp>[1]): Promise<RunningApp> {
  const app = await startBridgedApp(database.pool, options);
  apps.push(app);
  return app;
}

/** Changes the flag in PostgreSQL. */
function change(what: { mode?: Mode; brownout?: unknown }) {
  const { pool } = database;
  const db = createDatabase({
    pool,
    preparedStatements: false,
    clock: () => new Date(),
    generateId: () => crypto.randomUUID(),
  });
  return changeMode(db, { ...what, defaultMode, by: "a test" });
}

/** Samples by name and labels, as scraped. */
async function scrape(from: Registry = register): Promise<Map<string, number>> {
  const lines = (await from.metrics()).split("\n").filter((line) => /^[a-z]/.test(line));
  return new Map(
    lines.map((line) => {
      const space = line.lastIndexOf(" ");
      return [line.slice(0, space), Number(line.slice(space + 1))];
    }),
  );
}

/** What is not 0, of the counters. */
async function counted(): Promise<Record<string, number>> {
  const totals = [...(await scrape())].filter(
    ([name, value]) => /_total\b/.test(name) && value > 0,
  );
  return Object.fromEntries(
    totals.map(([name, value]) => [name.replace(/^koa_session_bridge_/, ""), value]),
  );
}

const source = "koa-session:koa.sess";

test("every series that can be known is there before the first request, at 0", async () => {
  const app = await start();
  prometheusMetrics(app.bridge, { register, labels: ["client"] });
  const samples = await scrape();
  const expected = [
    `requests_total{mode="drain",credential="bearer"}`,
    `legacy_cookies_total{client="",source="${source}",outcome="hit"}`,
    `brownouts_total{client="",source="${source}"}`,
    `upgrades_total{source="${source}"}`,
    `offers_total{source="${source}"}`,
    `adoptions_total{source="${source}"}`,
    `refreshes_total{result="reused"}`,
    `refused_tokens_total{reason="expired"}`,
    `refusals_total{code="store-unavailable"}`,
    `merged_commits_total`,
    `errors_total`,
    `request_added_seconds_count{credential="bearer"}`,
    `brownout_ratio`,
    `mode{mode="tokens"}`,
  ];
  for (const name of expected) expect(samples.get(`koa_session_bridge_${name}`), name).toBe(0);
  expect(samples.get(`koa_session_bridge_mode{mode="bridge"}`)).toBe(1);
  expect([...samples.values()].filter((value) => value !== 0)).toEqual([1]);
});

test("counts what happens, under the application's labels where they are declared", async () => {
  const clock = new TestClock();
  const app = await start({
    clock: clock.now,
    labels: (ctx) => ({ client: ctx.get("X-Client"), device: "phone", undeclared: "x" }),
  });
  prometheusMetrics(app.bridge, { register, labels: ["client", "device", "team"] });
  const { browser, pair } = await login(app);
  await browser.get("/whoami", { headers: { "x-client": "2.1" } });
  await browser.get("/whoami");
  await whoami(app.url, pair);
  const labels = (client: string) => `client="${client}",device="phone",team=""`;
  expect(await counted()).toEqual({
    'requests_total{mode="bridge",credential="none"}': 1,
    'requests_total{mode="bridge",credential="legacy"}': 2,
    'requests_total{mode="bridge",credential="bearer"}': 1,
    [`legacy_cookies_total{${labels("2.1")},source="${source}",outcome="hit"}`]: 1,
    [`legacy_cookies_total{${labels("")},source="${source}",outcome="hit"}`]: 1,
    [`upgrades_total{source="${source}"}`]: 1,
    [`offers_total{source="${source}"}`]: 3,
    [`adoptions_total{source="${source}"}`]: 1,
  });

  clock.advance(901);
  expect((await whoami(app.url, pair)).status).toBe(401);
  await refresh(app.url, pair.refreshToken);
  clock.advance(20);
  await refresh(app.url, pair.refreshToken);
  expect(await counted()).toMatchObject({
    'refused_tokens_total{reason="expired"}': 1,
    'refreshes_total{result="rotated"}': 1,
    'refreshes_total{result="reused"}': 1,
    'refusals_total{code="invalid-token"}': 2,
    'requests_total{mode="bridge",credential="refresh"}': 2,
    'requests_total{mode="bridge",credential="invalid"}': 1,
  });
});

test("the time that the bridge adds leaves out the handler's own", async () => {
  const handlers = {
    "/slow": (ctx: object) => {
      const until = performance.now() + 300;
      while (performance.now() < until);
      Object.assign(ctx, { body: "slow" });
    },
  };
  const app = await start({ handlers });
  prometheusMetrics(app.bridge, { register });
  const { pair } = await login(app);
  await app.browser().get("/slow", { headers: { authorization: `Bearer ${pair.accessToken}` } });
  const samples = await scrape();
  const name = (rest: string) => `koa_session_bridge_request_added_seconds_${rest}`;
  expect(samples.get(name('count{credential="bearer"}'))).toBe(1);
  expect(samples.get(name('sum{credential="bearer"}'))).toBeGreaterThan(0);
  expect(samples.get(name('bucket{le="0.25",credential="bearer"}'))).toBe(1);
  const limits = [...samples.keys()].filter((key) => /bucket.*credential="none"/.test(key));
  expect(limits.map((key) => /le="([^"]*)"/.exec(key)?.[1])).toEqual(
    "0.0001 0.00025 0.0005 0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 +Inf".split(" "),
  );
});

describe("the mode", () => {
  const modeIn = async (samples: Promise<Map<string, number>>) =>
    [...(await samples)].flatMap(([name, value]) => {
      const mode = /^koa_session_bridge_mode\{mode="(.*)"\}$/.exec(name)?.[1];
      return mode !== undefined && value === 1 ? [mode] : [];
    });

  test("of a process that serves nothing follows the flag in PostgreSQL", async () => {
    await change({ mode: "drain" });
    const app = await start({ mode: undefined } as never);
    prometheusMetrics(app.bridge, { register });
    expect(await modeIn(scrape())).toEqual(["drain"]);
    await change({ mode: "tokens" });
    await expect.poll(() => modeIn(scrape()), { timeout: 10_000 }).toEqual(["tokens"]);
  });

  test("of a function is the latest request's", async () => {
    const app = await start({ mode: (ctx) => ctx.get("X-Mode") as Mode });
    prometheusMetrics(app.bridge, { register });
    for (const mode of ["observe", "drain"]) {
      await app.browser().get("/whoami", { headers: { "x-mode": mode } });
      expect(await modeIn(scrape())).toEqual([mode]);
    }
  });
});

test("a brownout shows while it is on", async () => {
  const clock = new TestClock();
  const in60Seconds = new Date(clock.now().getTime() + 60_000);
  const timing = { everyInSeconds: 3600, forInSeconds: 300, startsAt: in60Seconds, until: null };
  await change({ brownout: { id: "a", share: 0.25, ...timing } });
  const app = await start({ clock: clock.now });
  prometheusMetrics(app.bridge, { register });
  const share = async () => (await scrape()).get("koa_session_bridge_brownout_ratio");
  expect(await share()).toBe(0);
  clock.advance(61);
  expect(await share()).toBe(0.25);
  clock.advance(300);
  expect(await share()).toBe(0);
  await change({ brownout: null });
});

describe("registries", () => {
  test("default to prom-client's own", async () => {
    const { bridge } = await start();
    prometheusMetrics(bridge);
    expect((await scrape(defaultRegister)).has("koa_session_bridge_errors_total")).toBe(true);
  });

  test("take it once, and are left as they were", async () => {
    const [first, second] = [await start(), await start()];
    prometheusMetrics(first.bridge, { register });
    expect(() => prometheusMetrics(second.bridge, { register })).toThrow(
      "prometheusMetrics: the registry has koa_session_bridge_requests_total already; call it once",
    );
    const other = new Registry();
    new Counter({ name: "koa_session_bridge_errors_total", help: "a", registers: [other] });
    expect(() => prometheusMetrics(second.bridge, { register: other })).toThrow("errors_total");
    expect(other.getMetricsAsArray()).toHaveLength(1);
    prometheusMetrics(second.bridge, { register: new Registry() });
  });

  test("can be of OpenMetrics", async () => {
    const { bridge } = await start();
    const open = new Registry<OpenMetricsContentType>();
    open.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
    prometheusMetrics(bridge, { register: open });
    const text = await open.metrics();
    expect(text).toContain("# TYPE koa_session_bridge_refreshes counter");
    expect(text).toContain('koa_session_bridge_refreshes_total{result="reused"} 0');
  });
});

test("what is wrong is told at once, all of it", async () => {
  const { bridge } = await start({ config: { store: new MapStore() } });
  const labels = ["client", "a-b", "source", "outcome", "client", "__own", 7, "a".repeat(41)];
  const options = { register: {}, labels, prefix: "x" };
  expect(() => prometheusMetrics(bridge, options as never)).toThrow(TypeError);
  expect(() => prometheusMetrics(bridge, options as never)).toThrow(
    /^prometheusMetrics: 9 invalid options\n {2}- prefix: unknown option.*\n {2}- register: must be a Registry.*\n {2}- labels\[1\]: "a-b" is no label.*\n {2}- labels\[2\]: "source" is there already\n {2}- labels\[3\]: "outcome" is there already\n {2}- labels\[4\]: "client" is there already\n {2}- labels\[5\]: "__own" is no label.*\n {2}- labels\[6\]: must be a name, got 7\n {2}- labels\[7\]: "a+" is no label/,
  );
  expect(await counted()).toEqual({});
});

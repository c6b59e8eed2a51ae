import { context, metrics as globalMetrics } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  MeterProvider,
  type MetricData,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { Mode } from "../../src/index.js";
import { openTelemetryMetrics } from "../../src/monitor/opentelemetry.js";
import { type RunningApp, startBridgedApp } from "../support/app.js";
import { TestClock } from "../support/clock.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { login, pairIn, refresh, whoami } from "../support/tokens.js";

const spans = new InMemorySpanExporter();
const tracers = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });
const tracer = tracers.getTracer("test");
const source = "koa-session:koa.sess";

let database: TestDatabase;
let exporter: InMemoryMetricExporter;
let meterProvider: MeterProvider;
const apps: RunningApp[] = [];

beforeAll(async () => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  database = await testDatabase();
});
afterAll(async () => {
  context.disable();
  await database.drop();
});
beforeEach(() => {
  spans.reset();
  exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  meterProvider = new MeterProvider({
    readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 2 ** 30 })],
  });
});
afterEach(async () => {
  globalMetrics.disable();
  await meterProvider.shutdown();
  await Promise.all(apps.splice(0).map((app) => app.close()));
});

/** The application with each request in a span of its own, as instrumentations do it. */
async function start(options?: Parameters<typeof startBridgedApp>[1]): Promise<RunningApp> {
  const app = await startBridgedApp(database.pool, {
    ...options,
    above: (ctx, next) =>
      tracer.startActiveSpan(ctx.get("X-Span"), async (span) => {
        try {
          await next();
        } finally {
          span.end();
        }
      }),
  });
  apps.push(app);
  return app;
}

/** What the SDK gives away: metrics by name. */
async function exported(): Promise<Map<string, MetricData>> {
  exporter.reset();
  await meterProvider.forceFlush();
  const scopes = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics);
  expect(scopes.map(({ scope }) => scope.name)).toEqual(["koa-session-bridge"]);
  return new Map(scopes.flatMap(({ metrics }) => metrics.map((m) => [m.descriptor.name, m])));
}

const pointsOf = (metric: MetricData | undefined) =>
  (metric?.dataPoints ?? []).map(({ attributes, value }) => ({ ...attributes, value }));
const counted = (metric: MetricData | undefined) =>
  pointsOf(metric).filter(({ value }) => value !== 0);

test("counters, their units and their attributes, as the SDK exports them", async () => {
  const clock = new TestClock();
  const app = await start({
    clock: clock.now,
    labels: (ctx) => ({ client: ctx.get("X-Client"), outcome: "not the application's to say" }),
  });
  openTelemetryMetrics(app.bridge, { meterProvider });
  const { browser, pair } = await login(app);
  await browser.get("/whoami", { headers: { "x-client": "2.1" } });
  await whoami(app.url, pair);
  await refresh(app.url, pair.refreshToken);
  clock.advance(20);
  await refresh(app.url, pair.refreshToken);

  const metrics = await exported();
  const units = [...metrics.values()].map(({ descriptor: { name, unit } }) => [
    name.replace("koa_session_bridge.", ""),
    unit,
  ]);
  expect(Object.fromEntries(units)).toEqual({
    requests: "{request}",
    legacy_cookies: "{cookie}",
    brownouts: "{cookie}",
    upgrades: "{session}",
    offers: "{response}",
    adoptions: "{session}",
    refreshes: "{token}",
    refused_tokens: "{token}",
    refusals: "{response}",
    merged_commits: "{commit}",
    errors: "{error}",
    "request.added_time": "s",
    mode: "",
    brownout: "1",
  });
  const of = (name: string) => counted(metrics.get(`koa_session_bridge.${name}`));
  expect(of("requests")).toEqual([
    { mode: "bridge", credential: "bearer", value: 1 },
    { mode: "bridge", credential: "legacy", value: 1 },
    { mode: "bridge", credential: "none", value: 1 },
    { mode: "bridge", credential: "refresh", value: 2 },
  ]);
  expect(of("legacy_cookies")).toEqual([{ source, outcome: "hit", client: "2.1", value: 1 }]);
  expect(of("upgrades")).toEqual([{ source, value: 1 }]);
  expect(of("adoptions")).toEqual([{ source, value: 1 }]);
  expect(of("refreshes")).toEqual([
    { result: "rotated", value: 1 },
    { result: "reused", value: 1 },
  ]);
  expect(of("refusals")).toEqual([{ code: "invalid-token", value: 1 }]);
  expect(of("mode")).toEqual([{ mode: "bridge", value: 1 }]);
  expect(pointsOf(metrics.get("koa_session_bridge.mode"))).toHaveLength(4);
  const zero = { code: "store-unavailable", value: 0 };
  expect(pointsOf(metrics.get("koa_session_bridge.refusals"))).toContainEqual(zero);
  expect(pointsOf(metrics.get("koa_session_bridge.errors"))).toEqual([{ value: 0 }]);
});

test("the histogram has limits from 0.1 ms to 1 s", async () => {
  const app = await start();
  openTelemetryMetrics(app.bridge, { meterProvider });
  await login(app);
  const added = (await exported()).get("koa_session_bridge.request.added_time");
  if (added?.dataPointType !== DataPointType.HISTOGRAM) throw new Error("no histogram");
  const [point] = added.dataPoints;
  expect(point?.attributes).toEqual({ credential: "none" });
  expect(point?.value.count).toBe(1);
  expect(point?.value.sum).toBeGreaterThan(0);
  const { boundaries = [] } = point?.value.buckets ?? {};
  expect([boundaries.at(0), boundaries.at(-1), boundaries.length]).toEqual([0.0001, 1, 13]);
});

test("the global provider is the default", async () => {
  globalMetrics.setGlobalMeterProvider(meterProvider);
  const { bridge } = await start();
  openTelemetryMetrics(bridge);
  expect((await exported()).has("koa_session_bridge.errors")).toBe(true);
});

test("of 50 requests at once, each span is told of its own upgrade and refresh, and of no id", async () => {
  let mode: Mode = "observe";
  const app = await start({ mode: () => mode });
  openTelemetryMetrics(app.bridge, { meterProvider });
  const people = await Promise.all(
    Array.from({ length: 50 }, async (_, number) => {
      const browser = app.browser();
      await browser.get(`/login?user=${number}`);
      return { number, browser };
    }),
  );
  spans.reset();

  mode = "bridge";
  // Every second one goes up now; the others come with nothing.
  const pairs = await Promise.all(
    people.map(async ({ number, browser }) => {
      const headers = { "x-span": `upgrade ${number}` };
      if (number % 2 === 0) return pairIn(await browser.get("/whoami", { headers }));
      await app.browser().get("/whoami", { headers });
      return undefined;
    }),
  );
  const eventsOf = (kind: string) =>
    people.map(({ number }) => {
      const named = spans.getFinishedSpans().filter(({ name }) => name === `${kind} ${number}`);
      expect(named).toHaveLength(1);
      return named[0]?.events.map(({ name, attributes }) => ({ name, attributes }));
    });
  const upgraded = [{ name: "session.upgraded", attributes: { source } }];
  expect(eventsOf("upgrade")).toEqual(
    people.map(({ number }) => (number % 2 === 1 ? [] : upgraded)),
  );

  await Promise.all(
    pairs.map(async (pair, number) => {
      const headers = { "x-span": `refresh ${number}` };
      const body = { refresh_token: pair?.refreshToken ?? "nonsense" };
      await app.browser().post("/session/refresh", { headers, body });
    }),
  );
  const refreshed = [{ name: "session.refreshed", attributes: { result: "rotated" } }];
  expect(eventsOf("refresh")).toEqual(
    people.map(({ number }) => (number % 2 === 1 ? [] : refreshed)),
  );
});

test("nonsense is refused", async () => {
  const { bridge } = await start();
  const options = { meterProvider: 1, prefix: "" } as never;
  expect(() => openTelemetryMetrics(bridge, options)).toThrow(TypeError);
  expect(() => openTelemetryMetrics(bridge, options)).toThrow(
    /^openTelemetryMetrics: 2 invalid options\n {2}- prefix: unknown option.*\n {2}- meterProvider: must be a MeterProvider, got 1$/,
  );
});

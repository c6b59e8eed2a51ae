import { type MeterProvider, metrics, trace } from "@opentelemetry/api";
import { modes } from "../mode.js";
import { OptionsReader } from "../options.js";
import { type Counter, counters, onCounted } from "./counters.js";
import { knownSeries } from "./known-series.js";
import { addedSecondsBuckets, attributesOf, helpOf, type ObservedBridge } from "./metrics.js";

export interface OpenTelemetryMetricsOptions {
  /** Default: the global one, which must have been set before. */
  meterProvider?: MeterProvider;
}

const prefix = "koa_session_bridge";

// UCUM: what a count of one is, in braces.
const units: Record<Counter, string> = {
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
};

/**
 * Gives what a bridge counts and measures to OpenTelemetry as `koa_session_bridge.…`, and tells the active
 * span of a session that was upgraded or refreshed. Call it once for each bridge.
 *
 * @throws TypeError that lists every invalid option
 */
export function openTelemetryMetrics(
  bridge: ObservedBridge,
  options: OpenTelemetryMetricsOptions = {},
): void {
  const meter = readMeterProvider(options).getMeter("koa-session-bridge");
  const instruments = Object.fromEntries(
    Object.entries(counters).map(([counter, { help }]) => {
      const unit = units[counter as Counter];
      return [counter, meter.createCounter(`${prefix}.${counter}`, { description: help, unit })];
    }),
  ) as Record<Counter, ReturnType<typeof meter.createCounter>>;
  for (const counted of knownSeries(bridge.sources)) {
    instruments[counted.counter].add(0, attributesOf(counted));
  }
  onCounted(bridge, (counted) => {
    instruments[counted.counter].add(1, { ...counted.labels, ...attributesOf(counted) });
  });

  const added = meter.createHistogram(`${prefix}.request.added_time`, {
    description: helpOf.addedSeconds,
    unit: "s",
    advice: { explicitBucketBoundaries: addedSecondsBuckets },
  });
  bridge.on("request", ({ credential, addedInSeconds }) => {
    added.record(addedInSeconds, { credential });
  });

  const mode = meter.createObservableGauge(`${prefix}.mode`, { description: helpOf.mode });
  mode.addCallback(async (result) => {
    const { mode: current } = await bridge.flag();
    for (const each of modes) result.observe(each === current ? 1 : 0, { mode: each });
  });
  const brownout = meter.createObservableGauge(`${prefix}.brownout`, {
    description: helpOf.brownout,
    unit: "1",
  });
  brownout.addCallback(async (result) => {
    result.observe((await bridge.flag()).brownoutShare);
  });

  // No session id: traces are read by more people, and it stands for a person.
  bridge.on("upgraded", ({ source }) => {
    trace.getActiveSpan()?.addEvent("session.upgraded", { source });
  });
  bridge.on("refreshed", ({ result }) => {
    trace.getActiveSpan()?.addEvent("session.refreshed", { result });
  });
}

function readMeterProvider(options: OpenTelemetryMetricsOptions): MeterProvider {
  const reader = new OptionsReader("openTelemetryMetrics");
  const raw = reader.object("options", options, ["meterProvider"]);
  const given = reader.optional<MeterProvider | undefined>(
    "meterProvider",
    raw["meterProvider"],
    (value) => typeof value === "object" && value !== null && "getMeter" in value,
    "a MeterProvider",
    undefined,
  );
  reader.finish();
  return given ?? metrics.getMeterProvider();
}

import { Counter, Gauge, Histogram, register as defaultRegister, type Registry } from "prom-client";
import { modes } from "../mode.js";
import { describe, OptionsReader } from "../options.js";
import { type Counter as CounterName, counters, onCounted } from "./counters.js";
import { credentials, knownSeries } from "./known-series.js";
import { addedSecondsBuckets, attributesOf, helpOf, type ObservedBridge } from "./metrics.js";

export interface PrometheusMetricsOptions {
  /** Where the metrics are registered. Default: prom-client's own. */
  register?: Pick<Registry, "registerMetric" | "getSingleMetric">;
  /**
   * Names of the bridge's `labels` that the counts of legacy cookies carry; others are left out. Prometheus
   * wants them named beforehand.
   */
  labels?: readonly string[];
}

const prefix = "koa_session_bridge";
const metricName = (counter: CounterName) => `${prefix}_${counter}_total`;
const addedName = `${prefix}_request_added_seconds`;
const modeName = `${prefix}_mode`;
const brownoutName = `${prefix}_brownout_ratio`;
// Of these counters the application's labels say more.
const labelled: readonly CounterName[] = ["legacy_cookies", "brownouts"];
// As long as the bridge keeps a label's name; two underscores are Prometheus's own.
const labelName = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]{0,39}$/;

/**
 * Registers what a bridge counts and measures as metrics of prom-client: `koa_session_bridge_…`. Serve them
 * above the bridge, so that scrapes are not among the requests that it counts.
 *
 * @throws TypeError that lists every invalid option
 * @throws Error when the registry has these metrics already
 */
export function prometheusMetrics(
  bridge: ObservedBridge,
  options: PrometheusMetricsOptions = {},
): void {
  const { register, labels } = readOptions(options);
  refuseTaken(register);
  const registers = [register as Registry];
  const unlabelled = Object.fromEntries(labels.map((name) => [name, ""]));
  const metrics = Object.fromEntries(
    Object.entries(counters).map(([name, { help, attributes }]) => {
      const counter = name as CounterName;
      const own = labelled.includes(counter) ? labels : [];
      const labelNames = [...attributes, ...own];
      return [counter, new Counter({ name: metricName(counter), help, labelNames, registers })];
    }),
  ) as Record<CounterName, Counter>;
  for (const counted of knownSeries(bridge.sources)) {
    const own = labelled.includes(counted.counter) ? unlabelled : {};
    metrics[counted.counter].inc({ ...own, ...attributesOf(counted) }, 0);
  }
  onCounted(bridge, (counted) => {
    const own = labelled.includes(counted.counter)
      ? Object.fromEntries(labels.map((name) => [name, counted.labels[name] ?? ""]))
      : {};
    metrics[counted.counter].inc({ ...own, ...attributesOf(counted) });
  });

  const added = new Histogram({
    name: addedName,
    help: helpOf.addedSeconds,
    labelNames: ["credential"],
    buckets: addedSecondsBuckets,
    registers,
  });
  for (const credential of credentials) added.zero({ credential });
  bridge.on("request", ({ credential, addedInSeconds }) => {
    added.observe({ credential }, addedInSeconds);
  });

  new Gauge({
    name: modeName,
    help: helpOf.mode,
    labelNames: ["mode"],
    registers,
    aggregator: "max",
    async collect() {
      const { mode } = await bridge.flag();
      for (const each of modes) this.set({ mode: each }, each === mode ? 1 : 0);
    },
  });
  new Gauge({
    name: brownoutName,
    help: helpOf.brownout,
    registers,
    aggregator: "max",
    async collect() {
      this.set((await bridge.flag()).brownoutShare);
    },
  });
}

function readOptions(options: PrometheusMetricsOptions): Required<PrometheusMetricsOptions> {
  const reader = new OptionsReader("prometheusMetrics");
  const raw = reader.object("options", options, ["register", "labels"]);
  const register = reader.optional(
    "register",
    raw["register"],
    isRegistry,
    "a Registry of the prom-client package",
    defaultRegister,
  );
  const labels = reader.optional<unknown[]>(
    "labels",
    raw["labels"],
    Array.isArray,
    "an array of names",
    [],
  );
  const taken = new Set(labelled.flatMap((counter): string[] => [...counters[counter].attributes]));
  for (const [index, name] of labels.entries()) {
    const path = `labels[${index}]`;
    if (typeof name !== "string") {
      reader.problem(path, `must be a name, got ${describe(name)}`);
    } else if (!labelName.test(name)) {
      const rule = "a letter, then letters, digits and underscores, 40 at most";
      reader.problem(path, `${JSON.stringify(name)} is no label of Prometheus: ${rule}`);
    } else if (taken.has(name)) {
      reader.problem(path, `${JSON.stringify(name)} is there already`);
    } else {
      taken.add(name);
    }
  }
  reader.finish();
  return { register, labels: labels as string[] };
}

const isRegistry = (value: unknown) =>
  typeof value === "object" &&
  value !== null &&
  "registerMetric" in value &&
  "getSingleMetric" in value;

// Before anything is registered: a registry must not be left with half of them.
function refuseTaken(register: Required<PrometheusMetricsOptions>["register"]): void {
  const names = Object.keys(counters).map((counter) => metricName(counter as CounterName));
  for (const name of [...names, addedName, modeName, brownoutName]) {
    if (register.getSingleMetric(name) === undefined) continue;
    throw new Error(
      `prometheusMetrics: the registry has ${name} already; call it once, and give another bridge a registry of its own`,
    );
  }
}

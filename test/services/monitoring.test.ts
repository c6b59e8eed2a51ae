import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  createBridgedShop,
  createOldShop,
  createSetting,
  listen,
  type Running,
} from "../../demo/app.js";
import type { SessionBridge } from "../../src/index.js";
import { bearer } from "../support/app.js";
import { ended } from "../support/child-process.js";
import { Browser } from "../support/client.js";
import { TestClock } from "../support/clock.js";
import { monitoringFolder, readDashboard } from "../support/dashboard.js";
import { databaseOfItsOwnServer } from "../support/database.js";
import { findServer } from "../support/find-server.js";
import { freePort } from "../support/free-port.js";
import { startPrometheus, type PrometheusServer } from "../support/prometheus-server.js";
import { groupedBy, parseScrape, type Sample, selectorsIn } from "../support/prometheus-text.js";
import { pairIn, refresh } from "../support/tokens.js";

const execute = promisify(execFile);
const alerts = `${monitoringFolder}alerts.yml`;
interface Rule {
  readonly name: string;
  readonly type: "recording" | "alerting";
  readonly query: string;
  readonly lastError?: string;
}

const promtool = (...args: string[]) =>
  execute(findServer("promtool", "promtool", "prometheus"), args);

test("the rules are valid", async () => {
  expect((await promtool("check", "rules", alerts)).stdout).toContain("SUCCESS: 7 rules found");
});

// It plays eleven days, minute by minute.
test("each alert fires where it should, and nowhere else", { timeout: 180_000 }, async () => {
  const { stdout } = await promtool("test", "rules", `${monitoringFolder}alerts.test.yml`);
  expect(stdout).toContain("SUCCESS");
});

describe("the demo's shop, scraped by a real Prometheus", () => {
  let database: Awaited<ReturnType<typeof databaseOfItsOwnServer>>;
  let prometheus: PrometheusServer;
  let shop: Running;
  let bridge: SessionBridge;
  let url: string;
  let text: string;
  let samples: Sample[];

  beforeAll(async () => {
    database = await databaseOfItsOwnServer();
    const clock = new TestClock();
    const setting = createSetting(database.pool, clock.now);
    await setting.store.createTable();
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    const old = await listen(createOldShop(setting), port, () => undefined);
    const [ada, ben] = [new Browser(url), new Browser(url)];
    await ada.post("/login/ada");
    await ben.post("/login/ben");
    await old.close();

    const bridged = createBridgedShop(setting, () => "bridge");
    ({ bridge } = bridged);
    shop = await listen(bridged.app, port, () => undefined);
    prometheus = await startPrometheus(`127.0.0.1:${port}`, alerts);
    // From a scrape before it on, an increase can be seen.
    await scraped("sum(koa_session_bridge_requests_total)", 0);

    const pair = pairIn(await ada.get("/cart", { headers: { "x-client-version": "2.1" } }));
    await ben.get("/cart");
    // A client's first request by cookie begins its series.
    await scraped('koa_session_bridge_legacy_cookies_total{client="2.1"}', 1);
    await ada.get("/cart", { headers: { "x-client-version": "2.1" } });
    await ada.clone().get("/cart", bearer(pair.accessToken));
    clock.advance(16 * 60);
    expect((await new Browser(url).get("/cart", bearer(pair.accessToken))).status).toBe(401);
    expect((await refresh(url, pair.refreshToken)).status).toBe(200);
    clock.advance(20);
    expect((await refresh(url, pair.refreshToken)).status).toBe(401);
    await database.server.stop();
    for (let count = 0; count < 20; count += 1) {
      expect((await ben.get("/cart")).status).toBe(503);
    }
    await database.server.start();
    text = (await new Browser(url).get("/metrics")).body as string;
    samples = parseScrape(text);
  });
  afterAll(async () => {
    await prometheus?.close();
    await shop?.close();
    await bridge?.close();
    await database?.drop();
  });

  const scraped = (query: string, value: number) =>
    vi.waitFor(async () => expect(await valueOf(query)).toBe(value), { timeout: 20_000 });
  const valueOf = async (query: string) => {
    const { result } = await prometheus.api("query", { query });
    return result.length === 0 ? undefined : Number(result[0].value[1]);
  };

  /** The rules as Prometheus has read them. */
  const loadedRules = async () => {
    const { groups } = await prometheus.api("rules");
    return (groups as { rules: Rule[] }[]).flatMap(({ rules }) => rules);
  };

  test("passes promtool check metrics, without a warning", async () => {
    const check = spawn(findServer("promtool", "promtool", "prometheus"), ["check", "metrics"]);
    const output: string[] = [];
    for (const stream of [check.stdout, check.stderr]) {
      stream.on("data", (chunk: Buffer) => output.push(chunk.toString()));
    }
    check.stdin.end(text);
    expect([await ended(check), output.join("")]).toEqual([0, ""]);
  });

  test("counts the traffic that was played", () => {
    const value = (name: string, labels: Record<string, string>) =>
      samples
        .filter((sample) => sample.name === `koa_session_bridge_${name}`)
        .filter((sample) =>
          Object.entries(labels).every(([label, text]) => sample.labels[label] === text),
        )
        .reduce((total, sample) => total + sample.value, 0);
    expect(value("upgrades_total", {})).toBe(2);
    expect(value("adoptions_total", {})).toBe(1);
    expect(value("legacy_cookies_total", { outcome: "hit", client: "2.1" })).toBe(2);
    expect(value("legacy_cookies_total", { outcome: "hit", client: "unknown" })).toBe(1);
    expect(value("legacy_cookies_total", { outcome: "redundant" })).toBe(1);
    expect(value("refreshes_total", { result: "rotated" })).toBe(1);
    expect(value("refreshes_total", { result: "reused" })).toBe(1);
    expect(value("refused_tokens_total", { reason: "expired" })).toBe(1);
    expect(value("refusals_total", { code: "invalid-token" })).toBe(2);
    expect(value("refusals_total", { code: "store-unavailable" })).toBe(20);
  });

  test("has every metric, label and value that the dashboard and the alerts ask for", async () => {
    const { panels } = await readDashboard();
    const rules = await loadedRules();
    const asked = [
      ...panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
      ...rules.map(({ query }) => query),
    ];
    const recorded = new Set(rules.filter(({ type }) => type === "recording").map((r) => r.name));
    // Prometheus's own, of the target.
    const ofTarget = ["job", "instance"];
    const missing: string[] = [];
    for (const expression of asked) {
      const known = new Set(ofTarget);
      for (const { metric, matchers } of selectorsIn(expression)) {
        if (recorded.has(metric)) continue;
        const series = samples.filter(({ name }) => name === metric);
        if (series.length === 0) missing.push(metric);
        for (const { labels } of series) for (const label of Object.keys(labels)) known.add(label);
        for (const { label, operator, value } of matchers) {
          if (ofTarget.includes(label)) continue;
          for (const each of operator.endsWith("~") ? value.split("|") : [value]) {
            if (!series.some(({ labels }) => labels[label] === each)) {
              missing.push(`${metric}{${label}="${each}"}`);
            }
          }
        }
      }
      for (const label of groupedBy(expression)) if (!known.has(label)) missing.push(`by ${label}`);
    }
    expect(missing).toEqual([]);
    expect(asked.flatMap(selectorsIn).length).toBeGreaterThan(30);
  });

  test("answers every panel with data", async () => {
    await scraped('koa_session_bridge_refusals_total{code="store-unavailable"}', 20);
    const now = Date.now() / 1000;
    const empty: string[] = [];
    for (const { title, targets } of (await readDashboard()).panels) {
      for (const { expr, instant = false } of targets) {
        const query = expr
          .replaceAll("$__rate_interval", "1m")
          .replaceAll("$__range", "5m")
          .replaceAll("$job", "shop");
        const range = { start: String(now - 60), end: String(now), step: "1" };
        const { result } = instant
          ? await prometheus.api("query", { query })
          : await prometheus.api("query_range", { query, ...range });
        if (result.length === 0) empty.push(`${title}: ${query}`);
      }
    }
    expect(empty).toEqual([]);
  });

  test("fires the alerts on reuse and on the store that was away, and says what to do", async () => {
    const firing = async () => {
      const { alerts: all } = await prometheus.api("alerts");
      return all as { labels: any; annotations: any; state: string }[];
    };
    const find = async (name: string) =>
      (await firing()).find(({ labels }) => labels.alertname === name);
    await expect
      .poll(() => find("SessionBridgeRefreshTokenReused"), { timeout: 20_000 })
      .toMatchObject({
        state: "firing",
        labels: { job: "shop", severity: "critical" },
        annotations: {
          summary: "shop: a refresh token was used again after its grace period",
          runbook: expect.stringContaining("MIGRATION.md") as string,
        },
      });
    await expect
      .poll(() => find("SessionBridgeStoreDown"), { timeout: 20_000 })
      .toMatchObject({
        state: "pending",
        labels: { job: "shop", code: "store-unavailable" },
        annotations: { summary: "shop: requests are answered with 503 (store-unavailable)" },
      });
    expect((await loadedRules()).filter(({ lastError }) => lastError !== undefined)).toEqual([]);
  });
});

test("npm run demo -- --serve answers scrapes, and does not count them", async () => {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const port = await freePort();
  const demo = spawn(
    process.execPath,
    ["--import", "tsx", "demo/main.ts", "--serve", "--port", String(port)],
    { cwd: root, stdio: ["ignore", "pipe", "inherit"] },
  );
  try {
    const lines = createInterface(demo.stdout);
    for await (const line of lines) if (line.includes("Ctrl-C stops it all")) break;
    const scrape = async () =>
      parseScrape((await new Browser(`http://127.0.0.1:${port}`).get("/metrics")).body as string);
    await scrape();
    const requests = (await scrape()).filter(
      ({ name }) => name === "koa_session_bridge_requests_total",
    );
    expect(requests.length).toBeGreaterThan(0);
    expect(requests.filter(({ value }) => value !== 0)).toEqual([]);
  } finally {
    demo.kill("SIGTERM");
    if (demo.exitCode === null) await once(demo, "exit");
  }
});

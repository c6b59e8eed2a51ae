import { beforeAll, expect, test } from "vitest";
import { type Dashboard, type Panel, readDashboard } from "../support/dashboard.js";

let dashboard: Dashboard;
beforeAll(async () => {
  dashboard = await readDashboard();
});

const source = { type: "prometheus", uid: "${datasource}" };

test("is of Grafana 10 or later and asks the data source that was chosen", () => {
  expect(dashboard.schemaVersion).toBeGreaterThanOrEqual(38);
  const variables = dashboard.templating.list.map(({ name, type }) => [name, type]);
  expect(variables).toEqual([
    ["datasource", "datasource"],
    ["job", "query"],
  ]);
  for (const { title, datasource, targets } of dashboard.panels) {
    expect(datasource, title).toEqual(source);
    for (const target of targets) expect(target.datasource, title).toEqual(source);
  }
});

test("every panel asks of the chosen jobs alone, and has its own id and letters", () => {
  const { panels } = dashboard;
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  for (const { title, targets } of panels) {
    expect(targets.length, title).toBeGreaterThan(0);
    expect(new Set(targets.map(({ refId }) => refId)).size, title).toBe(targets.length);
    for (const { expr } of targets) {
      const metrics = expr.match(/koa_session_bridge_\w+/g) ?? [];
      const chosen = expr.match(/koa_session_bridge_\w+\{job=~"\$job"/g) ?? [];
      expect(chosen.length, expr).toBe(metrics.length);
      expect(metrics.length, expr).toBeGreaterThan(0);
    }
  }
});

test("no panel covers another, and none is wider than the page", () => {
  const overlap = (a: Panel["gridPos"], b: Panel["gridPos"]) =>
    a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
  const covered = dashboard.panels.flatMap((panel, index) =>
    dashboard.panels
      .slice(index + 1)
      .filter((other) => overlap(panel.gridPos, other.gridPos))
      .map((other) => `${panel.title} / ${other.title}`),
  );
  expect(covered).toEqual([]);
  for (const { title, gridPos } of dashboard.panels) {
    expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
  }
});

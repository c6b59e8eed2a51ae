import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import type { RunningApp } from "./app.js";
import type { Browser, BrowserResponse } from "./client.js";
import { TestClock } from "./clock.js";
import { startDashboardApp } from "./dashboard-app.js";
import { type TestDatabase, testDatabase } from "./database.js";

export const path = "/session-bridge";
const fromPage = { "sec-fetch-site": "same-origin" };

/** One database for the tests of a file, and for each of them a clock and empty counts. */
export function dashboardTests() {
  const world = {} as { database: TestDatabase; clock: TestClock };
  const running: RunningApp[] = [];
  beforeAll(async () => {
    world.database = await testDatabase();
  });
  afterAll(() => world.database.drop());
  beforeEach(async () => {
    world.clock = new TestClock();
    await world.database.pool.query(
      `truncate "sessionBridgeMode", "sessionBridgeHit", "sessionBridgeProcess"`,
    );
  });
  afterEach(async () => {
    for (const app of running.splice(0)) await app.close();
  });
  return Object.assign(world, {
    /** Closed after each test. */
    running,
    async start(options: Parameters<typeof startDashboardApp>[1] = {}): Promise<RunningApp> {
      const { database, clock } = world;
      const app = await startDashboardApp(database.pool, { clock: clock.now, ...options });
      running.push(app);
      return app;
    },
    /** The audit trail. */
    async changes(): Promise<unknown[]> {
      const { rows } = await world.database.pool.query(
        `select "mode", "changedBy", "reason" from "sessionBridgeMode" order by "id"`,
      );
      return rows;
    },
  });
}

/** A browser of an operator who is logged in. */
export function as(app: RunningApp, operator = "alice"): Browser {
  const browser = app.browser();
  browser.cookies.set("operator", operator);
  return browser;
}

export const send = (
  browser: Browser,
  fields: Record<string, string>,
  headers: object = fromPage,
) =>
  browser.post(path, {
    body: new URLSearchParams(fields).toString(),
    headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
  });

export const choose = (browser: Browser, mode: string, reason = "", headers?: object) =>
  send(browser, { step: "choose", mode, reason }, headers);

/** The fields of the form on the page that asks. */
export function fieldsOf({ body }: BrowserResponse): Record<string, string> {
  const inputs = String(body).matchAll(/type="hidden" name="(\w+)" value="([^"]*)"/g);
  return Object.fromEntries([...inputs].map(([, name, value]) => [name, value]));
}

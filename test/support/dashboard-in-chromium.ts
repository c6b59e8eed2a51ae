import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import type { RunningApp } from "./app.js";
import { startChromium } from "./chromium.js";
import { startDashboardApp, twoSources } from "./dashboard-app.js";
import { type TestDatabase, testDatabase } from "./database.js";
import { seedMonth } from "./dashboard-month.js";

export const days = 24 * 60 * 60 * 1000;
// Longer than the page waits before it looks again.
export const soon = { timeout: 15_000 };

export let chromium: Browser;
export let database: TestDatabase;
export let app: RunningApp;
export let url: string;
export let now: Date;

beforeAll(async () => {
  chromium = await startChromium();
});
afterAll(() => chromium.close());
beforeEach(async () => {
  database = await testDatabase();
  now = new Date();
  const legacy = await twoSources(database.pool, 212, new Date(now.getTime() + 4 * days));
  await seedMonth(database.pool, now);
  const authorize = (ctx: { get(name: string): string }) => ctx.get("x-operator");
  app = await startDashboardApp(database.pool, { legacy, authorize });
  await app.browser().get("/whoami");
  url = `${app.url}/session-bridge`;
});
afterEach(async () => {
  for (const context of chromium.contexts()) await context.close();
  await app.close();
  await database.drop();
});

/** A page of a browser that the network knows as alice's; whatever it asks for and complains of is kept. */
export async function open(options: BrowserContextOptions = {}) {
  const context = await chromium.newContext({
    extraHTTPHeaders: { "x-operator": "alice" },
    viewport: { width: 1280, height: 900 },
    ...options,
  });
  const page = await context.newPage();
  const requests: string[] = [];
  const complaints: string[] = [];
  page.on("request", (request) => requests.push(`${request.method()} ${request.url()}`));
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(url);
  return { page, requests, complaints };
}

export async function query<Row>(text: string, values: unknown[] = []): Promise<Row[]> {
  return (await database.pool.query(text, values)).rows as Row[];
}

export const lastChange = async () => {
  const rows = await query(
    `select "mode", "changedBy", "reason" from "sessionBridgeMode" order by "id" desc limit 1`,
  );
  return rows[0];
};

/** The texts of a table's rows, by its caption. */
export async function tableOf(page: Page, caption: string): Promise<string[][]> {
  const rows = page.locator("table", { has: page.locator("caption", { hasText: caption }) });
  const texts = await rows
    .locator("tbody tr")
    .evaluateAll((all: any[]) => all.map((row) => [...row.cells].map((cell) => cell.textContent)));
  return (texts as string[][]).map((row) => row.map((cell) => cell.replace(/\s+/g, " ").trim()));
}

export const text = (count: number) => count.toLocaleString("en-US");

import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { flushIntervalInSeconds } from "../../src/monitor/reporter.js";
import { bearer, type RunningApp, startBridgedApp } from "../support/app.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { flagInDatabase } from "../support/fleet.js";
import { hitCounts } from "../support/hit-counts.js";
import { login } from "../support/tokens.js";

let database: TestDatabase;
let app: RunningApp;
beforeEach(async () => {
  database = await testDatabase();
  app = await startBridgedApp(database.pool, flagInDatabase);
});
afterEach(async () => {
  await app.close();
  await database.drop();
});

// Of single requests test/flows/budgets.test.ts tells, where the statements of the background are apart.
test("500 requests cost no statement for mode and counts beside those that time brings", async () => {
  const { browser, pair } = await login(app);
  await app.bridge.status();
  const { statements } = database;
  statements.reset();
  const startedAt = performance.now();
  for (let round = 0; round < 50; round += 1) {
    await Promise.all([
      ...Array.from({ length: 4 }, () => app.browser().get("/untouched")),
      ...Array.from({ length: 3 }, () => browser.get("/untouched")),
      ...Array.from({ length: 3 }, () => browser.get("/whoami", bearer(pair.accessToken))),
    ]);
  }
  const tookInSeconds = (performance.now() - startedAt) / 1000;
  // A flush each three seconds, and a look at the flag each 1.2 s at the most often.
  const flushes = Math.ceil(tookInSeconds / flushIntervalInSeconds) + 1;
  const looks = Math.ceil(tookInSeconds / 1.2) + 1;
  expect(statements.background.length).toBeLessThanOrEqual(flushes + looks);
  // One for each that presented a credential, some of them shared; the adoption, and what an offer needs.
  expect(statements.texts.length).toBeLessThanOrEqual(300 + 5);
  expect(statements.texts.filter((text) => /insert|update/.test(text)).length).toBeLessThan(5);

  await app.bridge.status();
  const counts = await hitCounts(database.pool);
  expect(counts["requests bridge none"]).toBe(201);
  expect(counts["requests bridge legacy"]).toBe(150);
  expect(counts["requests bridge bearer"]).toBe(150);
});

test("a process without requests sends nothing at all, and one with them a look and a heartbeat", async () => {
  await expect.poll(() => database.statements.background, { timeout: 500 }).toEqual([]);
  await app.browser().get("/untouched");
  await expect
    .poll(() => database.statements.background.length, { timeout: 10_000 })
    .toBeGreaterThanOrEqual(5);
  const adding = database.statements.background.filter((text) => text.includes("with flush as"));
  expect(adding).toHaveLength(1);
}, 15_000);

test("a pool of one connection is enough for requests, counts, flag and status at once", async () => {
  const pool = new pg.Pool({ connectionString: database.url, max: 1 });
  const narrow = await startBridgedApp(pool, flagInDatabase);
  const { browser, pair } = await login(narrow);
  const work = Array.from({ length: 20 }, async (_, index) => {
    if (index % 5 === 0) return (await narrow.bridge.status()).mode;
    const options = index % 2 === 0 ? bearer(pair.accessToken) : {};
    return (await browser.get("/count", options)).status;
  });
  expect(new Set(await Promise.all(work))).toEqual(new Set([200, "bridge"]));
  expect((await narrow.bridge.status()).requests).toMatchObject({ bearer: 8, legacy: 8, none: 1 });
  await narrow.close();
  await pool.end();
});

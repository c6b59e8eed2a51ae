import { setTimeout } from "node:timers/promises";
import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { bearer, type RunningApp, startBridgedApp } from "../support/app.js";
import { databaseOfItsOwnServer, type TestDatabase, testDatabase } from "../support/database.js";
import { flagInDatabase } from "../support/fleet.js";
import { hitCounts } from "../support/hit-counts.js";
import { startTcpProxy, type TcpProxy } from "../support/tcp-proxy.js";

// Part of the statement that adds counts, and of no other.
const adding = `with flush as`;

const serve = async (app: RunningApp, times: number) => {
  for (let time = 0; time < times; time += 1) await app.browser().get("/untouched");
};

test("while PostgreSQL is stopped counts are kept, and the outage is told once", async () => {
  const database = await databaseOfItsOwnServer();
  const app = await startBridgedApp(database.pool);
  try {
    await serve(app, 3);
    await expect
      .poll(() => hitCounts(database.pool), { timeout: 8000 })
      .toEqual({
        "requests bridge none": 3,
      });
    const { accessToken } = await app.bridge.sessions.create({ userId: "user-1" });
    await database.server.stop();
    await serve(app, 4);
    expect((await app.browser().get("/whoami", bearer(accessToken))).status).toBe(503);
    const told = () => app.bridgeErrors.filter((error) => "code" in error);
    await expect(app.bridge.status()).rejects.toMatchObject({ code: "store-unavailable" });
    // One of the counts, one of the flag; after that no flush that fails adds another.
    await expect.poll(() => told().length, { timeout: 10_000 }).toBe(2);
    await expect(app.bridge.status()).rejects.toMatchObject({ code: "store-unavailable" });
    await serve(app, 5);
    await database.server.start();
    await expect
      .poll(() => hitCounts(database.pool), { timeout: 10_000 })
      .toMatchObject({ "requests bridge none": 12, "refusals store-unavailable": 1 });
    expect(told()).toHaveLength(2);
    expect((await hitCounts(database.pool))["errors"]).toBe(app.bridgeErrors.length);
  } finally {
    await app.close();
    await database.drop();
  }
}, 60_000);

test("closing in an outage gives up, and says so", async () => {
  const database = await databaseOfItsOwnServer();
  const app = await startBridgedApp(database.pool);
  await serve(app, 1);
  await database.server.stop();
  await app.close();
  expect(app.bridgeErrors.at(-1)).toMatchObject({ code: "store-unavailable" });
  await database.server.start();
  await database.drop();
}, 60_000);

test("without the table the requests go on, and the counts come when it is there", async () => {
  const database = await testDatabase();
  await database.pool.query(`alter table "sessionBridgeHit" rename to "notYet"`);
  const app = await startBridgedApp(database.pool);
  await serve(app, 2);
  await expect(app.bridge.status()).rejects.toMatchObject({ code: "schema-missing" });
  await database.pool.query(`alter table "notYet" rename to "sessionBridgeHit"`);
  await app.bridge.status();
  expect(await hitCounts(database.pool)).toEqual({ "requests bridge none": 2 });
  await app.close();
  await database.drop();
});

let database: TestDatabase;
let proxy: TcpProxy;
let pool: pg.Pool;
let app: RunningApp;
beforeEach(async () => {
  database = await testDatabase();
  proxy = await startTcpProxy(database.url);
  pool = new pg.Pool({ connectionString: proxy.url, max: 10 });
  pool.on("error", () => undefined);
  app = await startBridgedApp(pool, flagInDatabase);
});
afterEach(async () => {
  await app.close();
  await proxy.close();
  await pool.end();
  await database.drop();
});

test("an answer that is lost after the commit adds nothing twice", async () => {
  let served = 0;
  for (let lost = 1; lost <= 5; lost += 1) {
    await serve(app, 3);
    served += 3;
    proxy.swallowAnswerTo(adding);
    await expect(app.bridge.status()).rejects.toMatchObject({ code: "store-unavailable" });
    expect(proxy.swallowed).toBe(lost);
    // It is there, though nobody was told.
    expect((await hitCounts(database.pool))["requests bridge none"]).toBe(served);
    await serve(app, 1);
    served += 1;
    await app.bridge.status();
    expect((await hitCounts(database.pool))["requests bridge none"]).toBe(served);
  }
}, 30_000);

test("a connection that is dead and does not know it holds up counts and flag for seconds only", async () => {
  await serve(app, 1);
  await expect
    .poll(() => hitCounts(database.pool), { timeout: 10_000 })
    .toEqual({ "requests bridge none": 1 });
  await serve(app, 2);
  proxy.hang();
  await database.pool.query(
    `insert into "sessionBridgeMode" ("mode", "changedAt", "changedBy") values ('tokens', now(), 'test')`,
  );
  await expect
    .poll(() => hitCounts(database.pool), { timeout: 20_000 })
    .toMatchObject({ "requests bridge none": 3 });
  await expect
    .poll(
      async () => {
        await serve(app, 1);
        await app.bridge.status();
        return (await hitCounts(database.pool))["requests tokens none"];
      },
      { timeout: 20_000 },
    )
    .toBeGreaterThan(0);
}, 60_000);

test("while nothing is answered for long, what is tried in the background does not pile up", async () => {
  const small = new pg.Pool({ connectionString: proxy.url, max: 2 });
  small.on("error", () => undefined);
  const other = await startBridgedApp(small, flagInDatabase);
  await serve(other, 1);
  await other.bridge.status();
  await serve(other, 1);
  proxy.hang();
  // Of flag and counts two tries each: two have the connections, the others wait for them.
  await expect.poll(() => small.waitingCount, { timeout: 20_000 }).toBe(2);
  const until = Date.now() + 9000;
  while (Date.now() < until) {
    expect(small.waitingCount).toBe(2);
    await setTimeout(200);
  }
  // The connections end, as they do when the network tells at last: it goes on by itself.
  await proxy.close();
  proxy = await startTcpProxy(database.url, Number(new URL(proxy.url).port));
  await serve(other, 1);
  await expect
    .poll(() => hitCounts(database.pool), { timeout: 20_000 })
    .toMatchObject({ "requests bridge none": 3 });
  await other.close();
  await small.end();
}, 90_000);

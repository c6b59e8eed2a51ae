import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { koaSession, sessionBridge, type SessionBridgeOptions } from "../../src/index.js";
import { createDatabase, type Database } from "../../src/store/database.js";
import { changeMode, readModeChanges } from "../../src/store/mode-log.js";
import { type RunningApp, signingKeys, startBridgedApp } from "../support/app.js";
import { TestClock } from "../support/clock.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { flagInDatabase } from "../support/fleet.js";
import { hitCounts } from "../support/hit-counts.js";
import { startTcpProxy } from "../support/tcp-proxy.js";
import { login, refresh } from "../support/tokens.js";
import { Koa, session } from "../support/versions.js";

let database: TestDatabase;
let db: Database;
const clock = new TestClock(new Date("2026-03-14T12:00:00Z"));
const apps: RunningApp[] = [];
const served = new WeakMap<RunningApp, string>();
beforeEach(async () => {
  database = await testDatabase();
  db = createDatabase({
    pool: database.pool,
    preparedStatements: false,
    clock: clock.now,
    generateId: () => crypto.randomUUID(),
  });
});
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close();
  await database.drop();
});

async function start(options: Parameters<typeof startBridgedApp>[1] = flagInDatabase) {
  const app = await startBridgedApp(database.pool, options);
  app.bridge.on("request", ({ mode }) => served.set(app, mode));
  apps.push(app);
  return app;
}

const change = (mode: string, reason?: string) =>
  changeMode(db, { mode, defaultMode: "bridge", by: "an operator", reason });

/** The mode that the next request is served in. */
async function modeOf(app: RunningApp): Promise<string | undefined> {
  await app.browser().get("/untouched");
  return served.get(app);
}

test("the first request waits for the flag", async () => {
  await change("drain");
  expect(await modeOf(await start())).toBe("drain");
});

test("a first request that is a refresh is counted under the mode of the fleet as well", async () => {
  const { pair } = await login(await start({ mode: "bridge" }));
  await change("tokens");
  const app = await start();
  expect((await refresh(app.url, pair.refreshToken)).status).toBe(200);
  await app.bridge.status();
  expect((await hitCounts(database.pool))["requests tokens refresh"]).toBe(1);
});

test("a database that hangs holds up the first request for a second only", async () => {
  const proxy = await startTcpProxy(database.url);
  const pool = new pg.Pool({ connectionString: proxy.url, max: 5 });
  pool.on("error", () => undefined);
  await pool.query("select 1");
  proxy.hang();
  const app = await startBridgedApp(pool, flagInDatabase);
  expect((await app.browser().get("/untouched")).status).toBe(200);
  await proxy.close();
  await app.close();
  await pool.end();
});

test("nobody has set it: bridge, and an unknown mode in the row is no mode", async () => {
  const app = await start();
  expect(await modeOf(app)).toBe("bridge");
  await change("no-such-mode");
  expect(await modeOf(await start())).toBe("bridge");
});

test("the option and the environment variable stand before the database", async () => {
  await change("tokens");
  expect(await modeOf(await start({ mode: "observe" }))).toBe("observe");
  expect(await modeOf(await start({ mode: () => "drain" }))).toBe("drain");
  process.env["SESSION_BRIDGE_MODE"] = "observe";
  try {
    const app = await start();
    expect(await modeOf(app)).toBe("observe");
    expect((await app.bridge.status()).processes[0]).toMatchObject({
      mode: "observe",
      modeFrom: "environment",
    });
  } finally {
    Reflect.deleteProperty(process.env, "SESSION_BRIDGE_MODE");
  }
});

test("the audit trail says from what to what, who, why and when; a member left out stays", async () => {
  await change("observe", "first deployment");
  clock.advance(60);
  await change("bridge");
  clock.advance(60);
  const brownout = { id: "b1", share: 0.1 };
  await changeMode(db, { brownout, defaultMode: "bridge", by: "another", reason: "rehearsal" });
  await change("drain", "'; drop table");
  await changeMode(db, { brownout: null, defaultMode: "bridge", by: "another" });
  const told = (await readModeChanges(db, 10)).map(({ changedAt, ...rest }) => ({
    ...rest,
    at: changedAt.toISOString(),
  }));
  const at = ["12:00", "12:01", "12:02"].map((time) => `2026-03-14T${time}:00.000Z`);
  expect(told).toEqual([
    { mode: "drain", from: "drain", brownout: null, changedBy: "another", reason: null, at: at[2] },
    {
      mode: "drain",
      from: "bridge",
      brownout,
      changedBy: "an operator",
      reason: "'; drop table",
      at: at[2],
    },
    {
      mode: "bridge",
      from: "bridge",
      brownout,
      changedBy: "another",
      reason: "rehearsal",
      at: at[2],
    },
    {
      mode: "bridge",
      from: "observe",
      brownout: null,
      changedBy: "an operator",
      reason: null,
      at: at[1],
    },
    {
      mode: "observe",
      from: null,
      brownout: null,
      changedBy: "an operator",
      reason: "first deployment",
      at: at[0],
    },
  ]);
  expect((await readModeChanges(db, 2))[1]?.from).toBe("bridge");
});

test("a process that listens follows at once, also after its connection was ended", async () => {
  const pool = new pg.Pool({ connectionString: database.directUrl, max: 2 });
  pool.on("error", () => undefined);
  const app = await start({ ...flagInDatabase, directPool: pool });
  await app.browser().get("/untouched");
  const listeners = async () => {
    const { rows } = await database.pool.query<{ pid: number }>(
      `select pid from pg_stat_activity
      where datname = current_database() and query = 'listen "sessionBridgeMode"'`,
    );
    return rows.map(({ pid }) => pid);
  };
  for (const mode of ["drain", "tokens", "observe"] as const) {
    await expect.poll(listeners, { timeout: 5000 }).toHaveLength(1);
    const before = performance.now();
    await change(mode);
    await expect.poll(() => modeOf(app), { interval: 20 }).toBe(mode);
    // Polling alone takes up to 1.6 s, and 1.4 s on average.
    expect(performance.now() - before).toBeLessThan(700);
    const [pid] = await listeners();
    await database.pool.query("select pg_terminate_backend($1)", [pid]);
    await expect.poll(async () => (await listeners()).includes(pid!)).toBe(false);
  }
  await app.close();
  // It has given its connection back: else this would never end.
  await pool.end();
});

test("a pool that cannot listen is told of once, and the flag is followed by polling", async () => {
  const pool = new pg.Pool({ connectionString: `${database.directUrl}_gone`, max: 2 });
  const app = await start({ ...flagInDatabase, directPool: pool });
  await app.browser().get("/untouched");
  for (const mode of ["drain", "tokens", "bridge"]) {
    await change(mode);
    await expect.poll(() => modeOf(app), { timeout: 4000 }).toBe(mode);
  }
  expect(app.bridgeErrors).toHaveLength(1);
  await app.close();
  await pool.end();
});

test("listening must not take the only connection of the application's pool", () => {
  const only = new pg.Pool({ connectionString: database.url, max: 1 });
  const options = (directPool: pg.Pool): SessionBridgeOptions => ({
    legacy: koaSession(session, {}),
    pool: only,
    directPool,
    tokens: { signingKeys },
  });
  const app = Object.assign(new Koa(), { keys: ["a key of the cookies"] });
  expect(() => sessionBridge(options(only), app)).toThrow(/directPool.*only connection/);
  sessionBridge(options(new pg.Pool({ max: 1 })), app);
});

test("without the table of the flag requests go on in bridge, and it is told once", async () => {
  await database.pool.query(`alter table "sessionBridgeMode" rename to "notYet"`);
  const app = await start();
  expect(await modeOf(app)).toBe("bridge");
  const before = database.statements.background.length;
  await expect
    .poll(() => database.statements.background.length - before, { timeout: 8000 })
    .toBeGreaterThanOrEqual(3);
  expect(app.bridgeErrors).toMatchObject([{ code: "schema-missing" }]);
  await database.pool.query(`alter table "notYet" rename to "sessionBridgeMode"`);
  await change("drain");
  await expect.poll(() => modeOf(app), { timeout: 4000 }).toBe("drain");
});

test("a process ends by itself, though it never closed the bridge", async () => {
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
  const module = fileURLToPath(new URL("../support/unclosed-app.ts", import.meta.url));
  const child = spawn(process.execPath, ["--import", tsx, module], {
    env: { ...process.env, DATABASE_URL: database.url },
    stdio: ["ignore", "ignore", "inherit"],
  });
  const [code] = (await once(child, "exit")) as [number];
  expect(code).toBe(0);
});

test("after closing nothing more is asked, and closing twice is no error", async () => {
  const app = await start();
  await app.browser().get("/untouched");
  await Promise.all([app.bridge.close(), app.bridge.close()]);
  const before = database.statements.background.length;
  expect(await modeOf(app)).toBe("bridge");
  expect(database.statements.background.length).toBe(before);
});

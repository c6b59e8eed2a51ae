import { Agent, get } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startBridgedApp } from "../support/app.js";
import type { Cluster } from "../support/cluster.js";
import { databaseOfItsOwnServer, type TestDatabase } from "../support/database.js";
import { flagInDatabase, startFleet } from "../support/fleet.js";
import { createDatabase } from "../../src/store/database.js";
import { changeMode, type ModeChange, readModeChanges } from "../../src/store/mode-log.js";
import { readFleet } from "../../src/store/read-status.js";
import { cli } from "../support/cli.js";
import type { PostgresServer } from "../support/postgres-server.js";

let database: TestDatabase & { server: PostgresServer };
let fleet: Cluster;
let load: Load;
beforeAll(async () => {
  database = await databaseOfItsOwnServer();
  fleet = await startFleet(database, 3);
  load = startLoad();
});
afterAll(async () => {
  await load.stop();
  await fleet.close();
  await database.drop();
});

interface Load {
  /** The mode that each process told last. */
  readonly modes: (string | undefined)[];
  readonly failures: string[];
  served: number;
  stop(): Promise<void>;
}

const paths = ["/untouched", "/login", "/whoami"];

/** Steady requests at each process, every answer looked at; those with the cookie count as well. */
function startLoad(): Load {
  const agent = new Agent({ keepAlive: true });
  const state = { isOn: true, modes: [] as (string | undefined)[], failures: [] as string[] };
  const cookies: string[] = [];
  const result = { ...state, served: 0, stop: async () => undefined };
  const once = (index: number, path: string) =>
    new Promise<void>((resolve) => {
      const headers = path === "/whoami" && cookies[index] ? { cookie: cookies[index] } : {};
      get(`${fleet.baseUrls[index]}${path}`, { agent, headers }, (response) => {
        const told = response.headers["x-mode"];
        if (typeof told === "string") result.modes[index] = told;
        const lines = response.headers["set-cookie"];
        if (path === "/login" && lines !== undefined)
          cookies[index] = lines.map((line) => line.split(";")[0]).join("; ");
        const text: Buffer[] = [];
        response.on("data", (chunk: Buffer) => text.push(chunk));
        response.on("end", () => {
          result.served += 1;
          if (response.statusCode !== 200)
            result.failures.push(`${String(told)} ${path} ${response.statusCode}`);
          resolve();
        });
      }).on("error", (error) => {
        result.failures.push(`${path} ${error.message}`);
        resolve();
      });
    });
  const running = fleet.baseUrls.map(async (_, index) => {
    for (let turn = 0; state.isOn; turn += 1) {
      await once(index, paths[turn % paths.length]!);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });
  return Object.assign(result, {
    stop: async () => {
      state.isOn = false;
      await Promise.all(running);
      agent.destroy();
    },
  });
}

const fleetDatabase = () =>
  createDatabase({
    pool: database.pool,
    preparedStatements: false,
    clock: () => new Date(),
    generateId: () => crypto.randomUUID(),
  });

async function flip(mode: string): Promise<void> {
  await changeMode(fleetDatabase(), { mode, defaultMode: "bridge", by: "the test" });
}

async function lastChange(): Promise<ModeChange> {
  const [change] = await readModeChanges(fleetDatabase(), 1);
  return change!;
}

const all = (mode: string) => [mode, mode, mode];

test("three processes under load follow each flip within two seconds, and no request fails", async () => {
  // The command waits for those that have told of themselves.
  const live = async () => (await readFleet(fleetDatabase(), 90)).length;
  await expect.poll(live, { timeout: 10_000 }).toBe(3);
  for (const mode of ["observe", "bridge", "drain", "tokens", "drain", "bridge", "observe"]) {
    const command = cli(["mode", mode, "--reason", `to ${mode}`, "--yes"], {
      DATABASE_URL: database.directUrl,
    });
    await expect.poll(() => load.modes, { timeout: 10_000, interval: 20 }).toEqual(all(mode));
    const followedAt = Date.now();
    expect(followedAt - (await lastChange()).changedAt.getTime()).toBeLessThan(2000);
    const { code, stdout } = await command;
    expect(stdout).toContain("Followed by 3 of 3 processes");
    expect(code).toBe(0);
  }
  expect(await lastChange()).toMatchObject({
    mode: "observe",
    from: "bridge",
    reason: "to observe",
  });
  expect(load.failures).toEqual([]);
  expect(load.served).toBeGreaterThan(300);
}, 60_000);

test("in an outage they keep the last mode, and follow again after it", async () => {
  await flip("drain");
  await expect.poll(() => load.modes, { timeout: 2000, interval: 20 }).toEqual(all("drain"));
  expect(load.failures).toEqual([]);
  await database.server.stop();
  const { served } = load;
  load.modes.splice(0);
  await expect.poll(() => load.served - served, { timeout: 30_000 }).toBeGreaterThan(400);
  // Of requests that need no database: each has told its mode anew.
  expect(load.modes).toEqual(all("drain"));
  expect(load.failures.filter((failure) => failure.includes("/untouched"))).toEqual([]);

  await database.server.start();
  await flip("tokens");
  await expect.poll(() => load.modes, { timeout: 4000, interval: 20 }).toEqual(all("tokens"));
  load.failures.splice(0);
  const servedAgain = load.served;
  await expect.poll(() => load.served - servedAgain, { timeout: 10_000 }).toBeGreaterThan(60);
  expect(load.failures).toEqual([]);
}, 90_000);

test("in an outage cookies go on to work in observe, where the old store does", async () => {
  await flip("observe");
  const app = await startBridgedApp(database.pool, flagInDatabase);
  try {
    const browser = app.browser();
    await browser.get("/login");
    await database.server.stop();
    for (let count = 1; count <= 3; count += 1) {
      const { status, body } = await browser.get("/count");
      expect([status, body.session.count]).toEqual([200, count]);
    }
  } finally {
    await database.server.start();
    await app.close();
  }
}, 30_000);

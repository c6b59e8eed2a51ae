import { writeFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { MigrationStatus } from "../../src/index.js";
import { cli } from "../support/cli.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { seedMonth, seedProcess } from "../support/month.js";

let database: TestDatabase;
let folder: string;
const env = () => ({ DATABASE_URL: database.url });

beforeAll(async () => {
  database = await testDatabase();
  folder = await mkdtemp(join(tmpdir(), "bridge-cli-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
  await database.drop();
});

async function clear() {
  await database.pool.query(
    `truncate "sessionBridgeHit", "sessionBridgeProcess", "sessionBridgeMode", "sessionBridgeLink", "sessionStore" cascade`,
  );
}

describe("of a month in bridge", () => {
  beforeAll(async () => {
    await clear();
    await seedMonth(database.pool);
  });

  test("text tells the verdict with the very next command, the fleet, the counts; no colours in a pipe", async () => {
    const { code, stdout, stderr } = await cli(["status"], env());
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^Verdict +safe to drain\n +- 0\.\d\d % of the requests/m);
    expect(stdout).toMatch(/^Next +koa-session-bridge mode drain$/m);
    expect(stdout).toMatch(/^Mode +bridge, since .* by ada@ops: observed for three days$/m);
    expect(stdout).toMatch(/^Processes +bridge {2}web-[12]:\d+ +seen \d+ s ago$/m);
    expect(stdout.match(/^ {2}\d{4}-\d\d-\d\d .*█+░+$/gm)).toHaveLength(30);
    expect(stdout).toMatch(/^ {2}koa-session:app\.sess +600 +588 +12 +cannot be counted/m);
    expect(stdout).toMatch(/^ {2}The last cookie expires on \d{4}/m);
    expect(stdout).toMatch(/^ {2} *422 +client=ios\/3\.9 +last on/m);
    expect(stdout).not.toContain("\u001b");
  });

  test("--json is the status, --check is 0, FORCE_COLOR colours", async () => {
    const [json, coloured] = await Promise.all([
      cli(["status", "--json", "--check"], env()),
      cli(["status"], { ...env(), FORCE_COLOR: "1" }),
    ]);
    expect(json.code).toBe(0);
    const status = JSON.parse(json.stdout) as MigrationStatus;
    expect(status).toMatchObject({ mode: "bridge", verdict: { answer: "safe to drain" } });
    expect(status.days).toHaveLength(30);
    expect(coloured.stdout).toContain("\u001b[");
  });

  test("--check is 3 where the verdict is not yet", async () => {
    const id = await seedProcess(database.pool, {
      mode: "observe",
      about: { modeFrom: "environment" },
    });
    try {
      const { code, stdout } = await cli(["status", "--check"], env());
      expect(code).toBe(3);
      expect(stdout).toMatch(/^Verdict +not yet\n +- the processes are in different modes/m);
      expect(stdout).toContain("mode from SESSION_BRIDGE_MODE");
      expect(stdout).not.toMatch(/^Next/m);
    } finally {
      await database.pool.query(`delete from "sessionBridgeProcess" where "id" = $1`, [id]);
    }
  });

  test("--app asks the application's own bridge, which is no process of the fleet by that", async () => {
    const file = join(folder, "app.ts");
    const source = fileURLToPath(new URL("../../src/index.ts", import.meta.url));
    await writeFile(
      file,
      `import Koa from ${JSON.stringify(import.meta.resolve("koa"))};
      import session from ${JSON.stringify(import.meta.resolve("koa-session"))};
      import pg from ${JSON.stringify(import.meta.resolve("pg"))};
      import { koaSession, sessionBridge } from ${JSON.stringify(source)};
      const app = new Koa();
      app.keys = ["a key"];
      const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
      const tokens = { signingKeys: [{ kid: "a", alg: "HS256", key: "a".repeat(32) }] };
      export const bridge = sessionBridge({ legacy: koaSession(session, { key: "own" }), pool, tokens }, app);`,
    );
    const { code, stdout, stderr } = await cli(["status", "--json", "--app", file], env());
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const status = JSON.parse(stdout) as MigrationStatus;
    expect(status.sources.map(({ name }) => name)).toContain("koa-session:own");
    expect(status.processes).toHaveLength(2);
  });
});

test("with nothing counted, and no process, it says so", async () => {
  await clear();
  const { code, stdout } = await cli(["status"], env());
  expect(code).toBe(0);
  expect(stdout).toContain("no request has been counted");
  expect(stdout).toContain("none has served a request in the last 90 seconds");
  expect(stdout).toContain("bridge, the default: nobody has set it");
});

test("--watch draws until it is interrupted, also while the database is away", async () => {
  await clear();
  const nowhere = { DATABASE_URL: "postgres://app:the-password@127.0.0.1:1/app" };
  const twice = (text: RegExp) => (stdout: string) => (stdout.match(text)?.length ?? 0) > 1;
  const [here, away] = await Promise.all([
    cli(["status", "--watch", "0.3"], env(), { interruptWhen: twice(/^Verdict/gm) }),
    cli(["status", "--watch=0.3"], nowhere, { interruptWhen: twice(/ECONNREFUSED/g) }),
  ]);
  expect(here).toMatchObject({ code: 0, stderr: "" });
  expect(away.code).toBe(0);
  expect(away.stdout + away.stderr).not.toContain("the-password");
});

test("wrong use and failures are told without a stack trace", async () => {
  const nowhere = { DATABASE_URL: "postgres://app:the-password@127.0.0.1:1/app" };
  const runs = await Promise.all([
    cli(["status", "--watch", "soon"], env()),
    cli(["status", "--watch", "--json"], env()),
    cli(["status", "--app", join(folder, "none.js")], env()),
    cli(["status"], nowhere),
  ]);
  expect(runs.map(({ code }) => code)).toEqual([2, 2, 1, 1]);
  expect(runs[0].stderr).toMatch(
    /^--watch must be a duration[^\n]*\n\nUsage: koa-session-bridge status[^]*More: koa-session-bridge status --help/,
  );
  expect(runs[3].stderr).toContain("ECONNREFUSED");
  for (const { stdout, stderr } of runs) {
    expect(stdout).toBe("");
    expect(stderr).not.toMatch(/^ +at |the-password/m);
  }
});

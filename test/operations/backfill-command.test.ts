import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compasSystem, createCompasTable } from "../support/systems/compas.js";
import { testDatabase, type TestDatabase } from "../support/database.js";
import { startBridgedApp } from "../support/app.js";

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const worker = fileURLToPath(new URL("../support/backfill-worker.ts", import.meta.url));

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
  await createCompasTable(database.pool);
});
afterAll(() => database.drop());

interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function backfill(args: string[], env: Record<string, string> = {}): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["--import", "tsx", main, "backfill", ...args], {
      env: { ...process.env, DATABASE_URL: database.url, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const output = { stdout: "", stderr: "" };
    child.stdout.on("data", (text: Buffer) => (output.stdout += text.toString()));
    child.stderr.on("data", (text: Buffer) => (output.stderr += text.toString()));
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, ...output }));
  });
}

const seed = (sessions: number) =>
  database.pool.query(
    `insert into "session" ("expires", "data")
    select now() + interval '6 days', '{"userId":"ada"}' from generate_series(1, $1::int)`,
    [sessions],
  );

describe("koa-session-bridge backfill", () => {
  test("counts, upgrades, tells what it did, and ends though the application keeps timers", async () => {
    await seed(1234);
    const counted = await backfill(["--app", worker, "--dry-run"]);
    expect(counted).toEqual({
      code: 0,
      stdout: [
        "compas:oldapp.sess: 1,234 sessions not upgraded yet.",
        "koa-session:koa.sess: its sessions are in the cookies alone; requests upgrade them one by one.",
        "koa-session:admin.sess: its store cannot list its sessions. Give the store a method keys() that does, or leave them to requests until their cookies have expired.",
        "",
      ].join("\n"),
      stderr: "",
    });

    const done = await backfill(["--rate", "100000"], { SESSION_BRIDGE_APP: worker });
    expect(done).toMatchObject({ code: 0 });
    expect(done.stdout).toContain("compas:oldapp.sess:\n  1,234 upgraded\n");
    expect(done.stderr).toMatch(/100 % 1,234 of 1,234 sessions, [\d,]+\/s\n$/);
    const again = await backfill(["--app", worker, "--json"]);
    const { sources } = JSON.parse(again.stdout) as { sources: Record<string, unknown> };
    expect(sources["compas:oldapp.sess"]).toMatchObject({ found: 0, upgraded: 0 });

    const app = await startBridgedApp(database.pool, {
      legacy: compasSystem().on(database.pool).source(),
    });
    expect(await app.bridge.status()).toMatchObject({ upgraded: 1234 });
    await app.close();
  });

  test("is exit code 1, with the reason and the way out, when it is refused or PostgreSQL is away", async () => {
    const refused = await backfill(["--app", worker], { SESSION_BRIDGE_MODE: "observe" });
    expect(refused).toEqual({
      code: 1,
      stdout: "",
      stderr: "This process is in mode observe: bring the flag to bridge first.\n",
    });
    const nowhere = "postgres://app:the-password@127.0.0.1:1/app";
    const away = await backfill(["--app", worker], {
      DATABASE_URL: nowhere,
      SESSION_BRIDGE_MODE: "bridge",
    });
    expect(away).toMatchObject({ code: 1, stdout: "" });
    expect(away.stderr).toMatch(/ECONNREFUSED[\s\S]*run the command again later\.\n$/);
    expect(away.stderr).not.toContain("the-password");
  });

  test.each([
    [["--rate", "0"], /^--rate must be a number above 0/],
    [["--concurrency", "1.5"], /^--concurrency must be a whole number/],
    [["--app", worker, "--source", "none"], /source: must be one of compas:oldapp\.sess/],
    [[], /^No application: give --app/],
    [["--app", main.replace(/main\.ts$/, "keygen.ts")], /exports no bridge/],
  ])("is exit code 2 for %j", async (args, message) => {
    const { code, stdout, stderr } = await backfill(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(message);
  });
});

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Finding } from "../../src/cli/finding.js";
import { cli } from "../support/cli.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { seedProcess } from "../support/month.js";
import { createCompasTable } from "../support/systems/compas.js";

let database: TestDatabase;
let folder: string;

beforeAll(async () => {
  database = await testDatabase();
  folder = await mkdtemp(join(tmpdir(), "bridge-cli-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
  await database.drop();
});
beforeEach(async () => {
  await database.pool.query(`truncate "sessionBridgeProcess"`);
});

async function oldStores(args: string[] = [], env: Record<string, string> = {}) {
  const run = await cli(["doctor", "--json", ...args], { DATABASE_URL: database.url, ...env });
  expect(run.stderr).toBe("");
  const { findings } = JSON.parse(run.stdout) as { findings: Finding[] };
  const told = findings.filter(({ check }) => check === "old store");
  return { code: run.code, told: told.map(({ level, text }) => `${level}: ${text}`) };
}

const compasTable = {
  name: '"session"',
  key: '"id"',
  keyType: "uuid",
  value: '"data"',
  expires: '"expires"',
};

test("an old store's table that is not there", async () => {
  const source = { name: "compas:shop", hasOldStore: true, cookieMaxAgeInSeconds: null };
  const sources = [{ ...source, table: compasTable }];
  // Of two applications on one database, either may have been seen last.
  await seedProcess(database.pool, { mode: "bridge", about: { sources } });
  await seedProcess(database.pool, { mode: "bridge" });
  expect(await oldStores()).toEqual({
    code: 1,
    told: ['problem: the table "session" of compas:shop does not exist in this database'],
  });
});

test("with --app its old stores, asked as the application does", async () => {
  const compas = join(folder, "compas.mts");
  const source = (name: string) =>
    JSON.stringify(fileURLToPath(new URL(`../../src/${name}.ts`, import.meta.url)));
  await writeFile(
    compas,
    `import pg from ${JSON.stringify(import.meta.resolve("pg"))};
    import Koa from ${JSON.stringify(import.meta.resolve("koa"))};
    import session from ${JSON.stringify(import.meta.resolve("koa-session"))};
    import { compasLegacyStore, compasSession, sessionBridge } from ${source("index")};
    const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
    const signingKeys = [{ kid: "a", alg: "HS256", key: "a".repeat(32) }];
    const legacy = compasSession(session, { store: compasLegacyStore(pool) });
    export const bridge = sessionBridge({ pool, tokens: { signingKeys }, legacy }, new Koa());`,
  );
  const env = {
    APP_NAME: "shop",
    APP_KEYS: "a-key-of-twenty-characters",
    COOKIE_URL: "example.com",
    NODE_ENV: "production",
  };
  const { code, told } = await oldStores(["--app", compas], env);
  expect(code).toBe(1);
  expect(told).toEqual([
    expect.stringMatching(/^problem: the table "session" of compas:\S+ does not exist/),
    expect.stringMatching(/^problem: that of compas:\S+ does not answer: relation "session"/),
  ]);
  await createCompasTable(database.pool);
  const mended = await oldStores(["--app", compas], env);
  expect(mended.told).toEqual([expect.stringMatching(/^ok: that of compas:\S+ answers$/)]);
});

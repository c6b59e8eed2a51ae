import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { judgeClock, checkConnections } from "../../src/cli/check-database.js";
import type { Finding } from "../../src/cli/finding.js";
import { bearer, cookieKeys, type RunningApp, startBridgedApp, tokensOf } from "../support/app.js";
import { cli } from "../support/cli.js";
import type { Browser } from "../support/client.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { seedProcess } from "../support/month.js";
import { PgLegacyStore } from "../support/pg-legacy-store.js";
import { withAdmin } from "../support/template-database.js";

let database: TestDatabase;
let folder: string;
let app: RunningApp;
let file: string;

beforeAll(async () => {
  database = await testDatabase();
  folder = await mkdtemp(join(tmpdir(), "bridge-cli-"));
  const store = new PgLegacyStore(database.pool);
  await store.createTable();
  app = await startBridgedApp(database.pool, { config: { store, key: "old" } });
  file = join(folder, "app.mts");
  const support = (name: string) =>
    JSON.stringify(fileURLToPath(new URL(`../support/${name}.ts`, import.meta.url)));
  await writeFile(
    file,
    `import pg from ${JSON.stringify(import.meta.resolve("pg"))};
    import { startBridgedApp } from ${support("app")};
    import { PgLegacyStore } from ${support("pg-legacy-store")};
    const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, query_timeout: 5000 });
    const config = { store: new PgLegacyStore(pool), key: "old", secure: true };
    export const { bridge } = await startBridgedApp(pool, { config });`,
  );
});
afterAll(async () => {
  await app.close();
  await rm(folder, { recursive: true });
  await database.drop();
});
beforeEach(async () => {
  await database.pool.query(`truncate "sessionBridgeProcess", "sessionBridgeMode"`);
});

async function doctor(args: string[] = [], env: Record<string, string> = {}, input?: string) {
  const run = await cli(
    ["doctor", "--json", ...args],
    { DATABASE_URL: database.url, ...env },
    input === undefined ? {} : { input },
  );
  const told = JSON.parse(run.stdout) as { problems: number; findings: Finding[] };
  const of = (check: string) => told.findings.filter((finding) => finding.check === check);
  return { ...run, ...told, of };
}

describe("the database", () => {
  test("all is well: exit code 0; and as text", async () => {
    await seedProcess(database.pool, { mode: "bridge" });
    const { code, findings, of } = await doctor();
    expect(code).toBe(0);
    expect(findings.filter(({ level }) => level !== "ok")).toEqual([]);
    for (const check of [
      "database",
      "schema",
      "clock",
      "rights",
      "processes",
      "signing keys",
      "connections",
    ])
      expect(of(check), check).toHaveLength(1);
    const text = await cli(["doctor"], { DATABASE_URL: database.url });
    expect(text.stdout).toMatch(
      /^ok {7}database {6}PostgreSQL \d+.*\n[^]*\n0 problems, 0 warnings\n$/,
    );
  });

  test("unreachable: a problem with the reason, without the password", async () => {
    const { code, of, stdout } = await doctor([], {
      DATABASE_URL: "postgres://app:the-password@127.0.0.1:1/app",
    });
    expect(code).toBe(1);
    expect(of("database")[0]).toMatchObject({ level: "problem" });
    expect(of("database")[0]!.text).toContain("ECONNREFUSED");
    expect(stdout).not.toContain("the-password");
  });

  test("missing migrations and rights", async () => {
    const other = await testDatabase();
    const role = `doctor_${crypto.randomUUID().replaceAll("-", "")}`;
    try {
      await other.pool.query(`create role ${role} login password 'x'`);
      await other.pool.query(`grant select on all tables in schema public to ${role}`);
      const url = new URL(other.url);
      [url.username, url.password] = [role, "x"];
      const asRole = await doctor([], { DATABASE_URL: url.href });
      expect(asRole.code).toBe(1);
      expect(asRole.of("rights")[0]!.text).toContain(`delete on "sessionBridgeHit"`);
      await other.pool.query(`revoke select on "sessionBridgeMigration" from ${role}`);
      const blind = await doctor([], { DATABASE_URL: url.href });
      const grant = `grant select on "sessionBridgeMigration" to "${role}"`;
      expect(blind.of("schema")[0]).toMatchObject({ level: "problem" });
      expect(blind.of("schema")[0]!.advice).toContain(grant);
      expect(blind.of("rights")).toHaveLength(1);
      expect(blind.of("processes")).toHaveLength(1);
      const check = await cli(["migrate", "--check"], { DATABASE_URL: url.href });
      expect(check.code).toBe(1);
      expect(check.stderr).toMatch(
        /^Which migrations are missing cannot be told: permission denied/,
      );
      expect(check.stderr).toContain(grant);
      await other.pool.query(`delete from "sessionBridgeMigration" where "id" = 3`);
      const outdated = await doctor([], { DATABASE_URL: other.url });
      expect(outdated.of("schema")[0]).toMatchObject({
        level: "problem",
        advice: "Run: koa-session-bridge migrate",
      });
    } finally {
      await other.pool.query(`drop owned by ${role}`);
      await withAdmin(other.directUrl, (admin) => admin.query(`drop role ${role}`));
      await other.drop();
    }
  });

  test("a clock is judged by what the round trip leaves certain", () => {
    expect(judgeClock(0.9, 0).level).toBe("ok");
    expect(judgeClock(-1.1, 0)).toMatchObject({
      level: "warning",
      text: "this machine is 1.1 s behind the database",
    });
    expect(judgeClock(1.5, 0.6).level).toBe("ok");
    expect(judgeClock(5.1, 0).level).toBe("problem");
  });

  test("pools together must fit the server", () => {
    const levels = [
      [10, 10, null],
      [50, 40],
      [60, 60],
    ].map((pools) => checkConnections(pools, { maximumConnections: 100 })[0]!.level);
    expect(levels).toEqual(["ok", "warning", "problem"]);
    expect(checkConnections([null], { maximumConnections: 100 })).toEqual([]);
  });
});

describe("the fleet", () => {
  test("different modes, modes of their own, keys that others do not know, app.proxy", async () => {
    await seedProcess(database.pool, { mode: "bridge", about: { signingKeys: ["b", "a"] } });
    await seedProcess(database.pool, {
      mode: "drain",
      about: { host: "web-2", modeFrom: "environment", signingKeys: ["a"], isBehindProxy: false },
    });
    const { code, of } = await doctor();
    expect(code).toBe(1);
    expect(of("processes")[0]!.text).toContain(
      "in different modes: bridge, drain; not from the database: web-2:4211",
    );
    expect(of("signing keys")[0]!.text).toMatch(
      /^web-1:4211 signs with b, which web-2:4211 does not know/,
    );
    expect(of("proxy")[0]).toMatchObject({ level: "warning" });
  });

  test("none at all, a rotation under way, and a flag that is not followed", async () => {
    expect((await doctor()).of("processes")[0]).toMatchObject({ level: "warning" });
    await seedProcess(database.pool, { mode: "bridge", about: { signingKeys: ["a"] } });
    await seedProcess(database.pool, { mode: "bridge", about: { signingKeys: ["a", "b"] } });
    await database.pool.query(
      `insert into "sessionBridgeMode" ("mode", "changedAt", "changedBy") values ('drain', now(), 'a')`,
    );
    const { of } = await doctor();
    expect(of("signing keys")[0]).toMatchObject({ level: "warning" });
    expect(of("processes")[0]).toMatchObject({ level: "problem" });
    expect(of("processes")[0]!.text).toContain("the flag says drain");
  });
});

test("SESSION_SIGNING_KEYS is checked without a word of what is in it", async () => {
  await seedProcess(database.pool, { mode: "bridge", about: { signingKeys: ["2026-11"] } });
  const secret = "a-secret-that-nobody-may-see-0123456789";
  const key = (more: object = {}) => ({ kid: "2026-11", alg: "HS256", key: secret, ...more });
  const given = [
    JSON.stringify([key()]),
    JSON.stringify([key({ kid: "other" })]),
    JSON.stringify([key({ key: secret.slice(0, 20) })]),
    secret,
  ];
  const runs = await Promise.all(given.map((keys) => doctor([], { SESSION_SIGNING_KEYS: keys })));
  const found = runs.map(({ of }) => of("keys")[0]!);
  expect(found.map(({ level }) => level)).toEqual(["ok", "warning", "problem", "problem"]);
  expect(found[0]!.text).toContain("2026-11 (HS256); the first signs");
  expect(found[2]!.text).toContain("must have at least 32 bytes");
  for (const { stdout, stderr } of runs) expect(stdout + stderr).not.toContain(secret.slice(0, 20));
});

describe("with --app", () => {
  const header = (browser: Browser, names = ["old", "old.sig"]) =>
    names.map((name) => `${name}=${browser.cookies.get(name)}`).join("; ");
  const cookie = (input: string) => doctor(["--app", file, "--cookie"], {}, input);

  test("the application's settings", async () => {
    const { of } = await doctor(["--app", file]);
    expect(of("app.keys")[0]).toMatchObject({ level: "ok" });
    expect(of("pool")[0]!.text).toMatch(/^connectionTimeoutMillis not set/);
    expect(of("proxy")[0]!.text).toBe(
      "the cookie of koa-session:old is secure, and app.proxy is false",
    );
  });

  test("a cookie: accepted, before and after its adoption; ended", async () => {
    const browser = app.browser();
    const tokens = tokensOf(await browser.get("/login"));
    const rows = async () => (await database.pool.query(`select * from "sessionBridgeLink"`)).rows;
    const before = await rows();
    const fresh = await cookie(`Cookie: other=1; ${header(browser)}\n`);
    expect(await rows()).toEqual(before);
    expect(fresh.of("cookie")[0]).toMatchObject({ level: "ok" });
    expect(fresh.of("cookie")[0]!.text).toMatch(
      /^koa-session:old: accepted, upgraded, its tokens have not been used yet, expires on \d{4}-/,
    );
    await browser.get("/whoami", bearer(tokens.accessToken));
    const adopted = await cookie(header(browser));
    expect(adopted.of("cookie")[0]!.text).toContain("its client uses tokens");
    await database.pool.query(
      `update "sessionBridgeLink" set "adoptedAt" = now() - interval '2 days'`,
    );
    expect((await cookie(header(browser))).of("cookie")[0]!.text).toContain("retired");
    const copy = header(browser);
    await app.browser().get("/logout", bearer(tokens.accessToken));
    const ended = await cookie(copy);
    expect(ended.code).toBe(1);
    expect(ended.of("cookie")[0]!.text).toContain("has ended");
    for (const { stdout, stderr } of [fresh, adopted, ended])
      expect(stdout + stderr).not.toContain(browser.cookies.get("old") ?? copy);
  });

  test("a cookie: not presented, signature missing or wrong, unknown", async () => {
    const browser = app.browser();
    await browser.get("/login");
    const value = browser.cookies.get("old")!;
    const [absent, unsigned, forged] = await Promise.all([
      cookie(`sess=${value}; a=b; barevalue`),
      cookie(`old=${value}`),
      cookie(`old=${value}; old.sig=AAAAAAAAAAAAAAAAAAAAAAAAAAA`),
    ]);
    expect(absent.of("cookie")[0]!.text).toBe(
      "koa-session:old: not presented. Seen: sess, a; expected: old, old.sig",
    );
    expect(unsigned.of("cookie")[0]!.text).toContain("its signature old.sig is missing");
    expect(forged.of("cookie")[0]!.text).toContain("its signature is wrong");
    await database.pool.query(`delete from "oldSession"; delete from "sessionBridgeLink"`);
    expect((await cookie(header(browser))).of("cookie")[0]!.text).toContain(
      "unknown to the old store",
    );
    for (const { stdout, stderr } of [absent, unsigned, forged]) {
      expect(stdout + stderr).not.toContain(value);
      for (const key of cookieKeys) expect(stdout + stderr).not.toContain(key);
    }
  });

  test("wrong use", async () => {
    const runs = await Promise.all([
      cli(["doctor", "--cookie"], { DATABASE_URL: database.url }),
      cli(["doctor", "--cookie", "--app", file], { DATABASE_URL: database.url }, { input: " \n" }),
    ]);
    expect(runs.map(({ code }) => code)).toEqual([2, 2]);
    expect(runs[1].stderr).toMatch(/^Standard input holds no cookie\./);
  });
});

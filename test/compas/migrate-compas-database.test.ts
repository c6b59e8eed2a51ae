import pg from "pg";
import { afterEach, beforeEach, expect, inject, test } from "vitest";
import { createSessionStore, migrate } from "../../src/tokens/index.js";
import { accessTokenMaxAgeInSeconds, signingKey } from "../support/both-stores.js";
import { type CompasStore, openCompasStore } from "../support/compas-store.js";
import { compasTables } from "../support/compas-tables.js";
import { databaseUrl, withAdmin } from "../support/template-database.js";

// A database as Compas's migrations leave it, with none of ours.
let name: string;
let pool: pg.Pool;
let compas: CompasStore;

beforeEach(async () => {
  const { adminUrl, url } = inject("postgres");
  name = `bridge_compas_${crypto.randomUUID().replaceAll("-", "")}`;
  await withAdmin(adminUrl, (admin) => admin.query(`create database ${name}`));
  pool = new pg.Pool({ connectionString: databaseUrl(url, name), max: 4 });
  pool.on("error", () => undefined);
  for (const table of Object.values(compasTables)) await pool.query(table);
  compas = await openCompasStore(databaseUrl(url, name), {
    accessTokenMaxAgeInSeconds,
    refreshTokenMaxAgeInSeconds: 86_400,
    signingKey,
  });
});
afterEach(async () => {
  await compas.close();
  await pool.end();
  await withAdmin(inject("postgres").adminUrl, (admin) =>
    admin.query(`drop database ${name} with (force)`),
  );
});

const ownTables = ["sessionStore", "sessionStoreToken", "job"];

/** Columns, constraints, indexes, triggers and rules of Compas's tables, as text. */
async function schema(): Promise<string[]> {
  const { rows } = await pool.query<{ text: string }>(
    `select format('%s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default)
      as "text" from information_schema.columns where table_name = any($1)
    union all select format('%s %s', conname, pg_get_constraintdef(oid)) from pg_constraint
      where conrelid::regclass::text = any(select quote_ident(unnest($1::text[])))
    union all select indexdef from pg_indexes where tablename = any($1)
    union all select tgname from pg_trigger
      where not tgisinternal and tgrelid::regclass::text = any(select quote_ident(unnest($1::text[])))
    union all select rulename from pg_rules where tablename = any($1)`,
    [ownTables],
  );
  return rows.map(({ text }) => text).sort();
}

async function rowsOf(columns: Record<string, string>): Promise<unknown[]> {
  const tables = ownTables.map(async (table) => {
    const { rows } = await pool.query(`select ${columns[table]} from "${table}" order by "id"`);
    return rows as unknown[];
  });
  return Promise.all(tables);
}

const compasColumns = {
  sessionStore: `"id", "checksum", "data", "revokedAt", "createdAt", "updatedAt"`,
  sessionStoreToken: `"id", "session", "expiresAt", "refreshToken", "revokedAt", "createdAt"`,
  job: `"id", "isComplete", "priority", "retryCount", "name", "scheduledAt", "data", "handlerTimeout",
    "createdAt", "updatedAt"`,
};

async function fill() {
  const live = await compas.create({ userId: "user-1" });
  const ended = await compas.create({ userId: "user-2" });
  await compas.invalidate((await compas.get(ended.accessToken))!);
  await pool.query(
    `insert into "job" ("isComplete", "priority", "name", "data") values (false, 5, 'a job', '{}')`,
  );
  return { live, ended };
}

test("what Compas has made stays as it is, but for more columns that may be null", async () => {
  await fill();
  const [schemaBefore, rowsBefore] = [await schema(), await rowsOf(compasColumns)];
  await migrate(pool);
  expect(await rowsOf(compasColumns)).toEqual(rowsBefore);
  const after = await schema();
  expect(schemaBefore.filter((line) => !after.includes(line))).toEqual([]);
  const added = after.filter((line) => !schemaBefore.includes(line));
  expect(added).toContain("sessionStoreToken.successor jsonb YES ");
  // Without a default.
  for (const line of added) expect(line).toMatch(/^sessionStore(Token)?\.\w+ [\w ]+ YES $/);
});

test("Compas goes on as before, over its old rows and the bridge's, and at last alone", async () => {
  const { live, ended } = await fill();
  await migrate(pool);
  const bridge = createSessionStore({
    pool,
    compas: true,
    signingKeys: [{ kid: "shared", alg: "HS256", key: signingKey }],
  });
  expect((await bridge.get(live.accessToken))?.data).toEqual({ userId: "user-1" });
  expect(await bridge.get(ended.accessToken)).toBeUndefined();
  const rotated = (await bridge.refreshTokens(live.refreshToken))!;
  const created = await bridge.create({ userId: "user-3" });
  // From here on the bridge is gone, and so may be what it added.
  for (const isCleared of [false, true]) {
    if (isCleared) {
      await pool.query(`drop table "sessionBridgeLink", "sessionBridgeHit", "sessionBridgeProcess", "sessionBridgeMode",
        "sessionBridgeMigration";
        alter table "sessionStore" drop column "maxAgeInSeconds";
        alter table "sessionStoreToken" drop column "successor"`);
    }
    for (const pair of [rotated, created]) await worksAlone(pair);
    await worksAlone(await compas.create({}));
  }
});

/** Everything that Compas does with a session, short of ending it. */
async function worksAlone({ refreshToken }: { refreshToken: string }): Promise<void> {
  const next = (await compas.refreshTokens(refreshToken))!;
  const session = (await compas.get(next.accessToken))!;
  session.data["seen"] = true;
  await compas.update(session);
  await compas.cleanupExpiredSessions(14);
  expect((await compas.get(next.accessToken))?.data).toMatchObject({ seen: true });
  const passing = await compas.create({});
  await compas.invalidate((await compas.get(passing.accessToken))!);
  expect(await compas.get(passing.accessToken)).toBeUndefined();
}

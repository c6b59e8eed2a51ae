import { readFileSync, readdirSync } from "node:fs";
import { cacheTriggers, hasCacheTriggers } from "./cache-triggers.js";
import type { Pool } from "./database.js";

export interface Migration {
  /** The file's number: its place in the order. */
  readonly id: number;
  readonly name: string;
  readonly sql: string;
}

const folder = new URL("../../migrations/", import.meta.url);

/** The SQL files of `migrations/`, in order: forward only, each idempotent. */
export const migrations: readonly Migration[] = readdirSync(folder)
  .filter((file) => /^\d+-.*\.sql$/.test(file))
  .sort()
  .map((file) => ({
    id: Number.parseInt(file, 10),
    name: file.replace(/\.sql$/, ""),
    sql: readFileSync(new URL(file, folder), "utf8"),
  }));

// Any constant; it only has to differ from the application's own advisory locks.
const lock = "4735906081";

/**
 * Brings the database up to date in one transaction and gives the names of the migrations it applied.
 * Safe to run from many processes at once, through a transaction pooler, on the tables of a Compas
 * application, and on a database that a newer version of this package has migrated further. Where nothing is
 * missing, the right to read `"sessionBridgeMigration"` is enough. `cache` also makes the triggers that the
 * option `cache` needs: they cost every process that writes, so that they are made on demand.
 */
export async function migrate(pool: Pool, { cache = false } = {}): Promise<string[]> {
  // Only a shortcut: whoever finds something missing looks again, alone.
  if ((await missingMigrations(pool, { cache })).length === 0) return [];
  const client = await pool.connect();
  let failed = true;
  try {
    await client.query("begin");
    await client.query(`select pg_advisory_xact_lock(${lock})`);
    await client.query(`create table if not exists "sessionBridgeMigration" (
      "id" integer primary key, "name" varchar not null, "appliedAt" timestamptz not null default now())`);
    const { rows } = await client.query(`select "id" from "sessionBridgeMigration"`);
    const applied = new Set((rows as { id: number }[]).map(({ id }) => id));
    const missing = migrations.filter(({ id }) => !applied.has(id));
    for (const { id, name, sql } of missing) {
      await client.query(sql);
      await client.query(`insert into "sessionBridgeMigration" ("id", "name") values ($1, $2)`, [
        id,
        name,
      ]);
    }
    const names = missing.map(({ name }) => name);
    if (cache && !(await hasCacheTriggers((text) => client.query(text)))) {
      await client.query(cacheTriggers.sql);
      names.push(cacheTriggers.name);
    }
    await client.query("commit");
    failed = false;
    return names;
  } finally {
    // A broken transaction ends with its connection.
    client.release(failed);
  }
}

/** The names of the migrations that {@link migrate} would apply. Changes nothing; up to three round trips. */
export async function missingMigrations(pool: Pool, { cache = false } = {}): Promise<string[]> {
  const missing = await missingFiles(pool);
  if (!cache) return missing;
  const hasTriggers = await hasCacheTriggers((text) => pool.query({ text, values: [] }));
  return hasTriggers ? missing : [...missing, cacheTriggers.name];
}

async function missingFiles(pool: Pool): Promise<string[]> {
  const table = await pool.query({
    text: `select to_regclass('"sessionBridgeMigration"') is not null as "exists"`,
    values: [],
  });
  if ((table.rows[0] as { exists: boolean }).exists !== true) {
    return migrations.map(({ name }) => name);
  }
  const { rows } = await pool.query({
    text: `select "id" from "sessionBridgeMigration"`,
    values: [],
  });
  const applied = new Set((rows as { id: number }[]).map(({ id }) => id));
  return migrations.filter(({ id }) => !applied.has(id)).map(({ name }) => name);
}

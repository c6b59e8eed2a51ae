import pg from "pg";
import { afterEach, beforeEach, describe, expect, inject, test } from "vitest";
import { createSessionStore, migrate, migrations } from "../../src/tokens/index.js";
import { compasTables } from "../support/compas-tables.js";
import { databaseUrl, withAdmin } from "../support/template-database.js";

// An empty database, which the tests' template is not.
let name: string;
let pool: pg.Pool;

beforeEach(async () => {
  const { adminUrl, url } = inject("postgres");
  name = `bridge_migrate_${crypto.randomUUID().replaceAll("-", "")}`;
  await withAdmin(adminUrl, (admin) => admin.query(`create database ${name}`));
  pool = new pg.Pool({ connectionString: databaseUrl(url, name), max: 10 });
  pool.on("error", () => undefined);
});
afterEach(async () => {
  await pool.end();
  await withAdmin(inject("postgres").adminUrl, (admin) =>
    admin.query(`drop database ${name} with (force)`),
  );
});

const names = migrations.map((migration) => migration.name);
const signingKeys = [{ kid: "a", alg: "HS256" as const, key: "a".repeat(32) }];

async function columns(): Promise<string[]> {
  const { rows } = await pool.query<{ column: string }>(
    `select table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable as "column"
    from information_schema.columns where table_schema = 'public' order by 1`,
  );
  return rows.map(({ column }) => column);
}

async function works(): Promise<void> {
  const store = createSessionStore({ pool, signingKeys });
  const { accessToken, refreshToken } = await store.create({ userId: "user-1" });
  expect((await store.get(accessToken))?.data).toEqual({ userId: "user-1" });
  expect(await store.refreshTokens(refreshToken)).toBeDefined();
}

test("an empty database gets every migration, in order, and then works", async () => {
  expect(names.length).toBeGreaterThan(1);
  expect(migrations.map(({ id }) => id)).toEqual(migrations.map((_, index) => index + 1));
  expect(await migrate(pool)).toEqual(names);
  await works();
});

test("it is idempotent", async () => {
  await migrate(pool);
  const before = await columns();
  expect(await migrate(pool)).toEqual([]);
  expect(await columns()).toEqual(before);
});

test("every step is idempotent by itself, should its record be lost", async () => {
  await migrate(pool);
  const before = await columns();
  await pool.query(`truncate "sessionBridgeMigration"`);
  expect(await migrate(pool)).toEqual(names);
  expect(await columns()).toEqual(before);
});

test("many at once apply each migration once", async () => {
  const applied = await Promise.all(Array.from({ length: 8 }, () => migrate(pool)));
  expect(applied.flat().sort()).toEqual(names);
  await works();
});

test("a database that a newer version has migrated further is left as it is", async () => {
  await migrate(pool);
  await pool.query(
    `insert into "sessionBridgeMigration" ("id", "name") values (9999, 'of-the-future')`,
  );
  await pool.query(`alter table "sessionStore" add column "ofTheFuture" text`);
  expect(await migrate(pool)).toEqual([]);
  await works();
});

test("the triggers of the cache come only on demand, once, and again when one is lost", async () => {
  const cache = { cache: true };
  const triggers = async () => {
    const { rows } = await pool.query<{ count: number }>(
      `select count(*)::int as "count" from pg_trigger where not tgisinternal`,
    );
    return rows[0]!.count;
  };
  await migrate(pool);
  expect(await triggers()).toBe(0);
  const applied = await Promise.all(Array.from({ length: 4 }, () => migrate(pool, cache)));
  expect(applied.flat()).toEqual(["cache"]);
  expect(await triggers()).toBe(4);
  await pool.query(`drop trigger "sessionBridgeCache2" on "sessionStoreToken"`);
  await pool.query(`alter table "sessionStore" disable trigger "sessionBridgeCache1"`);
  expect(await migrate(pool, cache)).toEqual(["cache"]);
  expect(await migrate(pool, cache)).toEqual([]);
  expect(await triggers()).toBe(4);
  await pool.query(`drop function "sessionBridgeTellChange"() cascade`);
  expect(await triggers()).toBe(0);
  await works();
});

test("a failure changes nothing, and leaves the pool usable", async () => {
  await pool.query(`create table "sessionStoreToken" ("id" text)`);
  await expect(migrate(pool)).rejects.toThrow();
  const { rows } = await pool.query(`select tablename from pg_tables where schemaname = 'public'`);
  expect(rows).toEqual([{ tablename: "sessionStoreToken" }]);
  await pool.query(`drop table "sessionStoreToken"`);
  expect(await migrate(pool)).toEqual(names);
});

describe("on the tables of a Compas application", () => {
  beforeEach(async () => {
    await pool.query(`${compasTables.sessionStore}
      insert into "sessionStore" ("id", "checksum", "data")
        values ('00000000-0000-4000-8000-000000000001', 'of-compas', '{"userId": "user-1"}');
    `);
  });

  test("the rows stay, new columns may be null, and sessions work", async () => {
    const before = await columns();
    expect(await migrate(pool)).toEqual(names);
    const after = await columns();
    expect(after).toEqual(expect.arrayContaining(before));
    const added = after.filter(
      (column) => /^sessionStore/.test(column) && !before.includes(column),
    );
    expect(added.length).toBeGreaterThan(0);
    for (const column of added) expect(column).toMatch(/ YES$/);
    const { rows } = await pool.query(`select "checksum", "data" from "sessionStore"`);
    expect(rows).toEqual([{ checksum: "of-compas", data: { userId: "user-1" } }]);
    await works();
  });

  test("a session of Compas with its own checksum can be updated", async () => {
    await migrate(pool);
    const store = createSessionStore({ pool, signingKeys });
    const id = "00000000-0000-4000-8000-000000000001";
    const updated = await store.update({ id, checksum: "of-compas", data: { userId: "user-2" } });
    expect(updated.data).toEqual({ userId: "user-2" });
    expect(updated.checksum).not.toBe("of-compas");
  });
});

test("a role that may read what was applied, and create nothing, has nothing to do", async () => {
  const role = `app_${crypto.randomUUID().replaceAll("-", "")}`;
  await migrate(pool);
  await pool.query(`create role ${role} login password 'x'`);
  await pool.query(`grant select on "sessionBridgeMigration" to ${role}`);
  const url = new URL(databaseUrl(inject("postgres").url, name));
  [url.username, url.password] = [role, "x"];
  const theirs = new pg.Pool({ connectionString: url.href, max: 1 });
  try {
    await expect(theirs.query("create table a ()")).rejects.toMatchObject({ code: "42501" });
    expect(await migrate(theirs)).toEqual([]);
    await pool.query(`delete from "sessionBridgeMigration" where "id" = 1`);
    await expect(migrate(theirs)).rejects.toMatchObject({ code: "42501" });
  } finally {
    await theirs.end();
    await pool.query(`drop owned by ${role}; drop role ${role}`);
  }
});

test("without the tables, the store says that migrations are missing", async () => {
  const store = createSessionStore({ pool, signingKeys });
  const created = store.create({});
  await expect(created).rejects.toMatchObject({ code: "schema-missing", status: 503 });
});

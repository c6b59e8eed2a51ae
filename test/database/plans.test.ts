import { readdirSync } from "node:fs";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { testDatabase, type TestDatabase } from "../support/database.js";
import { createCompasTables, everyStatement, type Sent } from "../support/every-statement.js";
import { seedManySessions } from "../support/many-sessions.js";
import { readWholeTables, referenceLookUps, readsWholeTable, scansOf } from "../support/plans.js";

const defined = vi.hoisted(() => new Map<string, string>());
vi.mock("../../src/store/database.js", async (original) => {
  const real = await original<typeof import("../../src/store/database.js")>();
  return {
    ...real,
    statement: (name: string, text: string) => {
      defined.set(text, name);
      return real.statement(name, text);
    },
  };
});

/** Of doctor, and of the cache: they read no table but the catalogue. */
const ofTheCatalogue = [
  "identify-server",
  "read-server",
  "read-missing-rights",
  "read-missing-tables",
];

/** Each index, and some of what would read a whole table without it, or could not be planned. */
const neededBy: Record<string, string[]> = {
  sessionStore_pkey: [
    "read-sessions",
    "read-links",
    "merge-changes",
    "merge-changes-of-many",
    "rotate-tokens",
  ],
  sessionStoreToken_pkey: ["read-session", "read-sessions", "rotate-tokens", "renew-offer"],
  sessionStoreTokenSessionIdx: [
    "revoke-session",
    "rotate-tokens",
    "cleanup-sessions",
    `select from "sessionStoreToken" where session = $1`,
  ],
  sessionStoreTokenRefreshTokenIdx: [`select from "sessionStoreToken" where "refreshToken" = $1`],
  sessionBridgeLink_pkey: ["read-links", "set-bookkeeping", "merge-linked-changes", "upgrade"],
  sessionBridgeLink_session_key: [
    "read-linked-sessions",
    "rotate-linked-tokens",
    "adopt",
    `select from "sessionBridgeLink" where session = $1`,
  ],
  sessionBridgeLinkOriginIdx: ["read-ended-origins"],
};

let empty: TestDatabase;
let full: TestDatabase;
let sent: Sent[];

beforeAll(async () => {
  empty = await testDatabase();
  full = await testDatabase();
  for (const { pool } of [empty, full]) await createCompasTables(pool);
  sent = await everyStatement(empty.pool);
  await full.pool.query(
    `insert into "session" select gen_random_uuid(), now() + interval '1 day', '{"userId": 7}', now(), now()
    from generate_series(1, 30000)`,
  );
  await full.pool.query(`analyze "session"`);
  await seedManySessions(full.pool, { live: 20_000, expired: 10_000, linkedEvery: 2 });
});
afterAll(async () => {
  await empty.drop();
  await full.drop();
});

/** The names of the statements that read all of a large table or cannot be planned at all, each once. */
async function withoutIndex(
  statements: readonly { name: string; text: string; values?: unknown[] }[],
  dropped?: string,
): Promise<string[]> {
  const client = await full.pool.connect();
  const found = new Set<string>();
  try {
    await client.query("begin");
    if (dropped !== undefined) await client.query(dropped);
    for (const each of statements) {
      await client.query("savepoint before");
      const isNeeded = await scansOf(client, each).then(readsWholeTable, () => true);
      if (isNeeded) found.add(each.name);
      await client.query("rollback to before");
    }
  } finally {
    await client.query("rollback");
    client.release();
  }
  return [...found].sort();
}

test("every statement of src/store is among those that are explained", async () => {
  const folder = new URL("../../src/store/", import.meta.url);
  for (const file of readdirSync(folder)) await import(new URL(file, folder).href);
  const texts = new Set(sent.map(({ text }) => text));
  const unsent = [...defined].filter(([text]) => !texts.has(text)).map(([, name]) => name);
  expect(unsent).toEqual(ofTheCatalogue);
  expect(defined.size).toBeGreaterThan(50);
});

test("none but those of operators reads a whole table, whether it is prepared or not", async () => {
  expect(await withoutIndex(sent)).toEqual([...readWholeTables].sort());
  const { rows } = await full.pool.query(
    `select current_setting('server_version_num')::int >= 160000 as "can"`,
  );
  if (rows[0].can) {
    const unbound = sent.map(({ name, text }) => ({ name, text }));
    expect(await withoutIndex(unbound)).toEqual([...readWholeTables].sort());
  }
});

test("nor does what the foreign keys look up when a session or a token goes", async () => {
  const lookUps = await referenceLookUps(full.pool);
  expect(lookUps).toHaveLength(3);
  expect(await withoutIndex(lookUps)).toEqual([]);
});

test.each(Object.entries(neededBy))("without the index %s some would", async (index, needed) => {
  const { rows } = await full.pool.query<{ drop: string }>(
    `select coalesce((select format('alter table %s drop constraint %I cascade', c.conrelid::regclass, c.conname)
      from pg_constraint c where c.conindid = to_regclass($1) and c.contype <> 'f'), 'drop index ' || $1) as "drop"`,
    [`"${index}"`],
  );
  const all = [...sent, ...(await referenceLookUps(full.pool))];
  expect(await withoutIndex(all, rows[0]!.drop)).toEqual(expect.arrayContaining(needed));
});

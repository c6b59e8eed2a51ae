import { createHash } from "node:crypto";
import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createDatabase, type Database } from "../../src/store/database.js";
import { addToHits } from "../../src/store/hits.js";
import { adoptSession, saveBookkeeping } from "../../src/store/links.js";
import { rotateRefreshToken } from "../../src/store/rotate-tokens.js";
import { commitChanges } from "../../src/store/update-session.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { seedManySessions } from "../support/many-sessions.js";

const sessions = 200;
const rounds = 5;
const numbers = Array.from({ length: sessions }, (_, index) => index + 1);
let database: TestDatabase;
let db: Database;

beforeEach(async () => {
  database = await testDatabase();
  const { pool } = database;
  await seedManySessions(pool, { live: sessions, expired: 0, linkedEvery: 1 });
  db = createDatabase({
    pool,
    preparedStatements: false,
    clock: () => new Date(),
    generateId: () => crypto.randomUUID(),
  });
});
afterEach(() => database.drop());

const idOf = (kind: string, n: number) =>
  createHash("md5")
    .update(`${kind}${n}`)
    .digest("hex")
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");

/** What every session goes through in its life: changes by token and by cookie, its adoption, a refresh. */
async function live(): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    await Promise.all(
      numbers.map(async (n) => {
        const changes = { set: { count: round + 100_000 }, removed: [] };
        const key = createHash("sha256").update(`cookie${n}`).digest();
        const bookkeeping = { _expire: 1_795_000_000_000 + round, _maxAge: 86_400_000 };
        const link = { key, bookkeeping, memberOrder: ["userId", "count"], expiresAt: new Date() };
        await commitChanges(db, idOf("session", n), changes);
        await commitChanges(db, idOf("session", n), changes, link);
        await saveBookkeeping(db, link);
      }),
    );
    const hits = [
      {
        day: "2026-11-21",
        counter: "requests",
        source: "bridge",
        outcome: "bearer",
        labels: {},
        count: 1,
      },
    ];
    const process = { id: idOf("process", 1), mode: "bridge", about: {}, startedAt: new Date() };
    await addToHits(db, process, round + 1, hits, "2026-11-21");
  }
  await Promise.all(numbers.map((n) => adoptSession(db, idOf("session", n))));
  await Promise.all(
    numbers.map((n) =>
      rotateRefreshToken(db, {
        refreshTokenId: idOf("refresh", n),
        graceInSeconds: 15,
        accessTokenMaxAgeInSeconds: 900,
        refreshTokenMaxAgeInSeconds: 86_400,
        withLinks: true,
      }),
    ),
  );
}

/** By table: of the updates that left a row in its block, the share that wrote to no index. */
async function updates(): Promise<Record<string, number>> {
  // Each connection reports its counts when it ends, at the latest.
  await database.pool.end();
  const client = new pg.Client({ connectionString: database.directUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ table: string; share: number }>(
      `select relname as "table", n_tup_hot_upd::float8 / (n_tup_upd - n_tup_newpage_upd) as "share"
      from pg_stat_user_tables where n_tup_upd > n_tup_newpage_upd`,
    );
    return Object.fromEntries(rows.map(({ table, share }) => [table, share]));
  } finally {
    await client.end();
  }
}

test("no update of a session's life changes an indexed column", async () => {
  await live();
  expect(await updates()).toEqual({
    sessionBridgeHit: 1,
    sessionBridgeLink: 1,
    sessionBridgeProcess: 1,
    sessionStore: 1,
    sessionStoreToken: 1,
  });
});

test("an index on what changes would end that", async () => {
  await database.pool.query(`create index on "sessionStore" ("updatedAt")`);
  await live();
  expect(await updates()).toMatchObject({ sessionStore: 0, sessionBridgeLink: 1 });
});

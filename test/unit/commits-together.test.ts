import pg from "pg";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { Changes } from "../../src/commit.js";
import { createDatabase, type Database } from "../../src/store/database.js";
import { revokeSession } from "../../src/store/revoke-session.js";
import { readSession, sessionCommitter } from "../../src/store/update-session.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { countStatements, type StatementCount } from "../support/statements.js";

let database: TestDatabase;
let pool: pg.Pool;
let statements: StatementCount;
let db: Database;

beforeAll(async () => {
  database = await testDatabase();
  pool = new pg.Pool({ connectionString: database.url, max: 10 });
  statements = countStatements(pool);
  db = createDatabase({
    pool,
    preparedStatements: false,
    clock: () => new Date(),
    generateId: () => crypto.randomUUID(),
  });
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

async function sessions(count: number, data: object): Promise<string[]> {
  const { rows } = await pool.query<{ id: string }>(
    `insert into "sessionStore" ("data", "checksum")
    select $1::jsonb, 'first' from generate_series(1, $2::int) returning "id"`,
    [data, count],
  );
  return rows.map(({ id }) => id);
}

const set = (members: Record<string, unknown>): Changes => ({ set: members, removed: [] });
const dataOf = async (id: string) => JSON.parse((await readSession(db, id))!.data) as object;

test("commits of one turn are one statement, each with its own changes", async () => {
  const [one, two, three, ended, untouched] = await sessions(5, { a: 1, b: [1], "it's": "kept" });
  await revokeSession(db, ended!);
  const commit = sessionCommitter(db);
  statements.reset();
  const committed = await Promise.all([
    commit(one!, set({ a: { deep: ['"', "\\", "{}", ","] } })),
    commit(two!, { set: { c: null }, removed: ["a", "it's"] }),
    commit(three!, { set: {}, removed: ["nothing"], maxAgeInSeconds: 60 }),
    commit(ended!, set({ a: 2 })),
  ]);
  expect(statements.texts).toHaveLength(1);
  expect(committed[3]).toBeUndefined();
  expect(committed[0]).toMatchObject({ previous: "first" });
  expect(await dataOf(one!)).toEqual({
    a: { deep: ['"', "\\", "{}", ","] },
    b: [1],
    "it's": "kept",
  });
  expect(await dataOf(two!)).toEqual({ b: [1], c: null });
  expect(await dataOf(untouched!)).toEqual({ a: 1, b: [1], "it's": "kept" });
  const { rows } = await pool.query(
    `select "id", "maxAgeInSeconds", "checksum" from "sessionStore" where "maxAgeInSeconds" is not null`,
  );
  expect(rows).toEqual([{ id: three, maxAgeInSeconds: 60, checksum: committed[2]!.checksum }]);
  expect((await readSession(db, one!))!.checksum).toBe(committed[0]!.checksum);
});

test("alone and together, the same change gives the same version", async () => {
  const [alone, one, two] = await sessions(3, { a: 1 });
  const commit = sessionCommitter(db);
  const first = await commit(alone!, set({ b: 1.0 }));
  const both = await Promise.all([commit(one!, set({ b: 1.0 })), commit(two!, set({ b: 1.0 }))]);
  expect(new Set([first, ...both].map((each) => each!.checksum)).size).toBe(1);
});

test("what PostgreSQL cannot hold fails its own session alone", async () => {
  const [one, two, three] = await sessions(3, {});
  const commit = sessionCommitter(db);
  const results = await Promise.allSettled([
    commit(one!, set({ a: 1 })),
    commit(two!, set({ a: "\u0000" })),
    commit(three!, set({ a: 3 })),
  ]);
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(results[1]).toMatchObject({ reason: { code: "data-not-storable" } });
  expect([await dataOf(one!), await dataOf(two!), await dataOf(three!)]).toEqual([
    { a: 1 },
    {},
    { a: 3 },
  ]);
});

test("of many writers to the same sessions, in any order, none loses a change or waits for ever", async () => {
  const ids = await sessions(20, {});
  const writers = [sessionCommitter(db), sessionCommitter(db), sessionCommitter(db)];
  const shuffled = () => [...ids].sort(() => Math.random() - 0.5);
  const rounds = 30;
  await Promise.all(
    writers.map(async (commit, writer) => {
      for (let round = 0; round < rounds; round += 1) {
        await Promise.all(
          shuffled().map((id) => commit(id, set({ [`${writer}.${round}`]: round }))),
        );
      }
    }),
  );
  for (const id of ids) expect(Object.keys(await dataOf(id))).toHaveLength(3 * rounds);
});

test("two commits to one session in one turn are both kept", async () => {
  const [id, other] = await sessions(2, {});
  const commit = sessionCommitter(db);
  await Promise.all([
    commit(id!, set({ a: 1 })),
    commit(id!, set({ b: 2 })),
    commit(other!, set({ c: 3 })),
    commit(id!, set({ d: 4 })),
  ]);
  expect(await dataOf(id!)).toEqual({ a: 1, b: 2, d: 4 });
});

test("of two commits to one session in one turn the later one wins", async () => {
  const [id, other] = await sessions(2, {});
  const commit = sessionCommitter(db);
  for (const others of [[], [commit(other!, set({ c: 3 }))]]) {
    await Promise.all([commit(id!, set({ a: 1 })), ...others, commit(id!, set({ a: 2 }))]);
    expect(await dataOf(id!)).toEqual({ a: 2 });
  }
});

test("what JSON cannot hold fails its own session alone", async () => {
  const [one, two, three] = await sessions(3, {});
  const commit = sessionCommitter(db);
  const results = await Promise.allSettled([
    commit(one!, set({ a: 1 })),
    commit(two!, set({ a: 1n })),
    commit(three!, set({ a: 3 })),
  ]);
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(await dataOf(three!)).toEqual({ a: 3 });
});

test("a connection that is lost says nothing of what was committed: all of them fail, sent once", async () => {
  const [one, two] = await sessions(2, {});
  const query = vi.fn(() =>
    Promise.reject(Object.assign(new Error("write EPIPE"), { code: "EPIPE" })),
  );
  const lost = createDatabase({
    pool: { query, connect: () => pool.connect(), on: () => undefined },
    preparedStatements: false,
    clock: () => new Date(),
    generateId: () => crypto.randomUUID(),
  });
  const commit = sessionCommitter(lost);
  const results = await Promise.allSettled([
    commit(one!, set({ a: 1 })),
    commit(two!, set({ a: 2 })),
  ]);
  expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(query).toHaveBeenCalledTimes(1);
});

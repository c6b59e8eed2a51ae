import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { changesBetween, copyOf, parseData, type SessionData } from "../../src/commit.js";
import { insertSession } from "../../src/store/create-session.js";
import { createDatabase, type Database } from "../../src/store/database.js";
import { revokeSession } from "../../src/store/revoke-session.js";
import { commitChanges, replaceSession } from "../../src/store/update-session.js";
import { type TestDatabase, testDatabase } from "../support/database.js";

let database: TestDatabase;
let db: Database;

beforeAll(async () => {
  database = await testDatabase();
  db = createDatabase({
    pool: database.pool,
    preparedStatements: false,
    clock: () => new Date(),
    generateId: () => crypto.randomUUID(),
  });
});
afterAll(() => database.drop());

async function create(data: unknown): Promise<string> {
  const id = db.generateId();
  const issuedAt = Math.floor(Date.now() / 1000);
  const pair = {
    accessToken: db.generateId(),
    refreshToken: db.generateId(),
    issuedAt,
    accessTokenExpiresAt: issuedAt + 900,
    refreshTokenExpiresAt: issuedAt + 3600,
  };
  await insertSession(db, { id, data: JSON.stringify(data), maxAgeInSeconds: null, pair });
  return id;
}

async function commit(id: string, base: SessionData, current: SessionData) {
  const changes = changesBetween(base, current);
  return changes === undefined ? undefined : commitChanges(db, id, changes);
}

async function read(id: string): Promise<unknown> {
  const { rows } = await database.pool.query(`select "data" from "sessionStore" where "id" = $1`, [
    id,
  ]);
  return (rows[0] as { data: unknown }).data;
}

describe("changesBetween", () => {
  test("an untouched session has no changes, whatever the order of its members", () => {
    expect(changesBetween({ a: 1, b: { c: [1] } }, { b: { c: [1] }, a: 1 })).toBeUndefined();
    expect(changesBetween({}, {})).toBeUndefined();
    expect(changesBetween({}, { a: undefined })).toBeUndefined();
  });

  test("a deep change sets the whole member; undefined removes it", () => {
    const base = { a: { b: 1, c: 2 }, d: 3, e: 4 };
    expect(changesBetween(base, { a: { b: 1, c: 5 }, d: undefined, e: 4 })).toEqual({
      set: { a: { b: 1, c: 5 } },
      removed: ["d"],
    });
  });

  const date = (time: number) => new Date(time);
  test.each([
    ["a member deep inside", { a: { b: [1, { c: 2 }] } }, { a: { b: [1, { c: 3 }] } }],
    ["a member more", { a: {} }, { a: { b: 1 } }],
    ["a member of another name", { a: { b: undefined } }, { a: { c: 1 } }],
    ["an element more", { a: [1] }, { a: [1, 2] }],
    ["a hole at the end", { a: [1] }, { a: Object.assign([1], { length: 2 }) }],
    ["an element in a hole", { a: Object.assign([], { 1: 2 }) }, { a: [1, 2] }],
    ["an array of a class", { a: [1] }, { a: Object.assign(new (class extends Array {})(), [1]) }],
    ["an array for an object", { a: {} }, { a: [] }],
    ["null for an object", { a: {} }, { a: null }],
    ["an object of a class", { a: {} }, { a: new (class {})() }],
    ["another date", { a: date(1) }, { a: date(2) }],
    ["a member named __proto__", { a: {} }, { a: JSON.parse('{"__proto__":{"b":1}}') as unknown }],
    ["a member that is inherited", { a: { toString: 1 } }, { a: { b: 1 } }],
  ])("%s is a change", (_, base, current) => {
    expect(changesBetween(base, current)).toEqual({ set: current, removed: [] });
    expect(changesBetween(current, base)).toEqual({ set: base, removed: [] });
  });

  test("equal dates, as some old stores give, are none", () => {
    expect(changesBetween({ a: date(1) }, { a: date(1) })).toBeUndefined();
  });

  test("inherited names are no members", () => {
    expect(changesBetween({}, { toString: 1 })).toEqual({
      set: { toString: 1 },
      removed: [],
    });
  });
});

test("a copy is equal and shares nothing, whatever JSON holds", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const copy = copyOf(value);
      expect(changesBetween({ value }, { value: copy })).toBeUndefined();
      expect(JSON.stringify(copy)).toBe(JSON.stringify(value));
      if (typeof value === "object" && value !== null) expect(copy).not.toBe(value);
    }),
  );
  const odd = JSON.parse('{"a":{"__proto__":{"b":1}}}') as { a: object };
  const copy = copyOf(odd);
  expect(JSON.stringify(copy)).toBe(JSON.stringify(odd));
  expect("b" in copy.a).toBe(false);
});

const names = fc.constantFrom("a", "b", "c", "dé", "", "a b", '"', "constructor");
const values = fc.oneof(
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.string({ unit: "grapheme" }).filter((text) => !text.includes("\u0000")),
  fc.array(fc.integer(), { maxLength: 3 }),
  fc.dictionary(names, fc.integer(), { maxKeys: 3, noNullPrototype: true }),
);
const data = fc.dictionary(names, values, { maxKeys: 5, noNullPrototype: true });

describe("the three-way merge through PostgreSQL", () => {
  test("of any base, theirs and mine is a merge by top-level member, mine last", async () => {
    await fc.assert(
      fc.asyncProperty(data, data, data, async (base, theirs, mine) => {
        const id = await create(base);
        await commit(id, base, theirs);
        const committed = await commit(id, base, mine);
        const expected = merged(base, theirs, mine);
        expect(await read(id)).toEqual(expected);
        if (committed !== undefined) expect(parseData(committed.data)).toEqual(expected);
      }),
      { numRuns: 150 },
    );
  });

  test("of any number of tabs, in any order of commits, loses nothing", async () => {
    const edits = fc.array(data, { minLength: 2, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(data, edits, async (base, tabs) => {
        const id = await create(base);
        let expected: SessionData = base;
        for (const mine of tabs) {
          await commit(id, base, mine);
          expected = merged(base, expected, mine);
        }
        expect(await read(id)).toEqual(expected);
      }),
      { numRuns: 50 },
    );
  });

  test("of 50 concurrent commits to distinct members keeps all", async () => {
    const id = await create({});
    const all = Array.from({ length: 50 }, (_, index) => [`member-${index}`, index] as const);
    await Promise.all(all.map(([name, value]) => commit(id, {}, { [name]: value })));
    expect(await read(id)).toEqual(Object.fromEntries(all));
  });
});

/** The model: what stayed the same on my side is theirs. */
function merged(base: SessionData, theirs: SessionData, mine: SessionData): SessionData {
  const result = new Map(Object.entries(theirs));
  const same = (a: unknown, b: unknown) =>
    JSON.stringify(canonical(a)) === JSON.stringify(canonical(b));
  for (const name of new Set([...Object.keys(base), ...Object.keys(mine)])) {
    const isMine = Object.hasOwn(mine, name);
    if (Object.hasOwn(base, name) === isMine && same(base[name], mine[name])) continue;
    if (isMine) result.set(name, mine[name]);
    else result.delete(name);
  }
  return Object.fromEntries(result);
}

function canonical(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return { value };
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
}

describe("a commit", () => {
  test("to an ended session is dropped", async () => {
    const id = await create({ a: 1 });
    await revokeSession(db, id);
    expect(await commit(id, { a: 1 }, { a: 2 })).toBeUndefined();
    expect(await read(id)).toEqual({ a: 1 });
  });

  test("accepts data of another writer that is no object", async () => {
    for (const foreign of [[1, 2], "text", 7, null]) {
      const id = await create(foreign);
      await commit(id, {}, { a: 1 });
      expect(await read(id)).toEqual({ a: 1 });
    }
  });

  test("has a checksum that the order of members and the way of a number do not change", async () => {
    const [first, second] = [await create({}), await create({})];
    const a = await commit(first, {}, { a: 1, b: { c: 1, d: 2 } });
    const b = await commit(second, {}, { b: { d: 2, c: 1 }, a: 1.0 });
    expect(a?.checksum).toBe(b?.checksum);
    const replaced = await replaceSession(db, {
      id: first,
      checksum: a!.checksum,
      data: '{"x":1}',
    });
    expect(replaced).toMatchObject({ data: '{"x": 1}' });
    expect(await replaceSession(db, { id: first, checksum: a!.checksum, data: "{}" })).toBe(
      "conflict",
    );
    await revokeSession(db, first);
    expect(await replaceSession(db, { id: first, checksum: a!.checksum, data: "{}" })).toBe(
      "ended",
    );
  });

  test("of what PostgreSQL cannot store is data-not-storable, and changes nothing", async () => {
    const id = await create({ a: 1 });
    const unstorable = commit(id, { a: 1 }, { a: "\u0000" });
    await expect(unstorable).rejects.toMatchObject({ code: "data-not-storable", status: 500 });
    expect(await read(id)).toEqual({ a: 1 });
  });
});

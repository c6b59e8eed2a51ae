import { setImmediate as nextTurn, setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createSessionStore, type Pool, type SessionStore } from "../../src/tokens/index.js";
import { signingKeys } from "../support/app.js";
import { type CachedStore, openCachedStore } from "../support/cached.js";
import { type TestDatabase, testDatabase } from "../support/database.js";

let database: TestDatabase;
let cached: CachedStore;
let others: SessionStore;
let otherPool: pg.Pool;
/** Answers to reads wait for it. */
let gate: Promise<void> | undefined;

beforeAll(async () => {
  database = await testDatabase();
  otherPool = new pg.Pool({ connectionString: database.url, max: 5 });
  others = createSessionStore({ pool: otherPool, signingKeys });
  const { pool } = database;
  const late: Pool = {
    connect: () => pool.connect(),
    on: (event, listener) => pool.on(event, listener),
    query: async (query) => {
      const waiting = gate;
      const result = await pool.query(query);
      await waiting;
      return result;
    },
  };
  cached = await openCachedStore(database, { pool: late });
});
afterAll(async () => {
  await cached.close();
  await otherPool.end();
  await database.drop();
});

/** Resolves when what was told until now has been heard: changes come in the order of their commits. */
async function heard(): Promise<void> {
  const marker = await others.create({});
  await cached.caches(marker.accessToken);
  await others.invalidate({ id: marker.sessionId });
  await expect.poll(() => cached.get(marker.accessToken), { interval: 2 }).toBeUndefined();
}

test("a row that was read before a change, and comes after it was told, is not kept", async () => {
  const pair = await others.create({ userId: "user-1" });
  await heard();
  let open = () => undefined as void;
  gate = new Promise((resolve) => (open = resolve));
  const early = cached.get(pair.accessToken);
  // The statement is on its way with the next turn of the loop.
  await pause(50);
  gate = undefined;
  await others.invalidate({ id: pair.sessionId });
  await heard();
  open();
  expect((await early)?.data).toEqual({ userId: "user-1" });
  expect(await cached.get(pair.accessToken)).toBeUndefined();
});

test("the same with a change by this process, of which nobody has to tell", async () => {
  const pair = await others.create({ userId: "user-1" });
  await heard();
  const session = (await others.get(pair.accessToken))!;
  let open = () => undefined as void;
  gate = new Promise((resolve) => (open = resolve));
  const early = cached.get(pair.accessToken);
  await pause(50);
  gate = undefined;
  await cached.update({ ...session, data: { userId: "user-2" } });
  open();
  await early;
  expect((await cached.get(pair.accessToken))?.data).toEqual({ userId: "user-2" });
});

test("100 logouts elsewhere, each amid reads: once refused, always refused", async () => {
  await Promise.all(
    Array.from({ length: 100 }, async (_, round) => {
      const { accessToken, sessionId } = await others.create({ round });
      let isOver = false;
      let isRefused = false;
      const read = async () => {
        while (!isOver) {
          const began = isRefused;
          const session = await cached.get(accessToken);
          if (session === undefined) isRefused = true;
          // Only those that were under way may still have found it.
          else expect(began).toBe(false);
          await nextTurn();
        }
      };
      const readers = [read(), read(), read()];
      await others.invalidate({ id: sessionId });
      await expect.poll(() => isRefused, { interval: 5, timeout: 5000 }).toBe(true);
      for (let again = 0; again < 20; again += 1) {
        expect(await cached.get(accessToken)).toBeUndefined();
      }
      isOver = true;
      await Promise.all(readers);
    }),
  );
});

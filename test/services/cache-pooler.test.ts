import { expect, test } from "vitest";
import { openCachedStore } from "../support/cached.js";
import { testDatabase } from "../support/database.js";

test("nothing is cached over a pooler, through which changes may not come, and it is told", async () => {
  const database = await testDatabase();
  const store = await openCachedStore(database, { directUrl: database.url });
  const { accessToken } = await store.create({});
  for (let tries = 0; store.errors.length === 0 || tries < 50; tries += 1) {
    expect(await store.statementsOfGet(accessToken)).toBe(1);
  }
  expect(store.errors.map(String)).toEqual([expect.stringContaining("goes by a pooler")]);
  await store.close();
  await database.drop();
});

test("sessions are read by the pooler, and changes are heard of beside it", async () => {
  const database = await testDatabase();
  const store = await openCachedStore(database);
  const { accessToken, sessionId } = await store.create({});
  await store.caches(accessToken);
  await database.pool.query(`update "sessionStore" set "revokedAt" = now() where "id" = $1`, [
    sessionId,
  ]);
  await expect.poll(() => store.get(accessToken), { interval: 5 }).toBeUndefined();
  await store.close();
  await database.drop();
});

import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { readMigrationStatus } from "../../src/monitor/status.js";
import { createDatabase, type Database } from "../../src/store/database.js";
import { startBridgedApp } from "../support/app.js";
import { TestClock } from "../support/clock.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { seedProcess } from "../support/month.js";

const dayMs = 24 * 60 * 60 * 1000;
const now = new Date("2026-11-21T12:00:00Z");
let database: TestDatabase;
let db: Database;

beforeAll(async () => {
  database = await testDatabase();
  db = createDatabase({
    pool: database.pool,
    preparedStatements: false,
    clock: () => now,
    generateId: () => crypto.randomUUID(),
  });
});
afterAll(() => database.drop());
beforeEach(() =>
  database.pool.query(
    `truncate "sessionBridgeHit", "sessionBridgeProcess", "sessionBridgeLink", "sessionStore" cascade`,
  ),
);

const source = { name: "a", hasOldStore: true, cookieMaxAgeInSeconds: 90 * 86_400, table: null };

async function requests(mode: string, daysAgo: number) {
  const day = new Date(now.getTime() - daysAgo * dayMs).toISOString().slice(0, 10);
  await database.pool.query(
    `insert into "sessionBridgeHit" values ($1, 'requests', $2, 'legacy', '{}', 5)`,
    [day, mode],
  );
}

test("cookies that live longer than the counts that are shown still count", async () => {
  await seedProcess(database.pool, { mode: "drain", about: { sources: [source] } }, now);
  await requests("bridge", 60);
  await requests("drain", 1);
  const { verdict } = await readMigrationStatus(db);
  expect(verdict.answer).toBe("not yet");
  // Given until the end of that day, good for 90 more.
  expect(verdict.estimatedAt).toEqual(new Date("2026-12-22T00:00:00Z"));
});

test("drained from the first day on, cookies are from before it", async () => {
  await seedProcess(database.pool, { mode: "drain", about: { sources: [source] } }, now);
  await requests("drain", 50);
  await requests("drain", 1);
  const { verdict } = await readMigrationStatus(db);
  expect(verdict.reasons[0]).toContain("cookies given until 2026-10-02 may come until 2027-01-01");
});

test("an old table that cannot be read is one that cannot be counted", async () => {
  const table = {
    name: '"gone"',
    key: '"id"',
    keyType: "uuid",
    value: '"data"',
    expires: '"expires"',
  };
  const about = { sources: [{ ...source, table }] };
  await seedProcess(database.pool, { mode: "drain", about }, now);
  await requests("bridge", 1);
  const { sources, verdict } = await readMigrationStatus(db);
  expect(sources).toMatchObject([{ name: "a", notUpgraded: null }]);
  expect(verdict.answer).toBe("not yet");
});

test("a process that has closed is none of the fleet, and is still known for its sources", async () => {
  await seedProcess(
    database.pool,
    { mode: "drain", about: { hasEnded: true, sources: [source] } },
    now,
  );
  await requests("bridge", 1);
  const { processes, sources } = await readMigrationStatus(db);
  expect(processes).toEqual([]);
  expect(sources).toMatchObject([{ name: "a" }]);
});

test("processes with different old systems: those of all that are alive are known", async () => {
  const other = { ...source, name: "b", cookieMaxAgeInSeconds: 400 * 86_400 };
  await seedProcess(database.pool, { mode: "drain", about: { sources: [other] } }, now);
  await seedProcess(database.pool, { mode: "drain", about: { sources: [source] } }, now);
  const long = new Date(now.getTime() - dayMs);
  await seedProcess(database.pool, { mode: "drain", about: { sources: [{ name: "gone" }] } }, long);
  await requests("bridge", 1);
  const { sources } = await readMigrationStatus(db);
  expect(sources.map(({ name, cookieMaxAgeInSeconds }) => [name, cookieMaxAgeInSeconds])).toEqual(
    expect.arrayContaining([
      ["a", 90 * 86_400],
      ["b", 400 * 86_400],
    ]),
  );
  expect(sources).toHaveLength(2);
});

test.each([
  [1, 90, 90],
  [1, null, 1],
  [null, 90, 90],
  [null, 10, null],
  [200, 90, 200],
])(
  "of cookies for %s days, and sessions that the application gave %s, one may come %s days later",
  async (configured, own, expected) => {
    const inSeconds = (days: number | null) => days && days * 86_400;
    const about = { sources: [{ ...source, cookieMaxAgeInSeconds: inSeconds(configured) }] };
    await seedProcess(database.pool, { mode: "drain", about }, now);
    await requests("bridge", 2);
    await database.pool.query(
      `with s as (
        insert into "sessionStore" ("checksum", "data", "maxAgeInSeconds") values ('x', '{}', $1) returning "id"
      )
      insert into "sessionBridgeLink" ("key", "source", "session", "expiresAt", "adoptedAt", "createdAt")
      select 'key', 'a', "id", $2, $2, $2 from s`,
      [inSeconds(own), now],
    );
    const { sources, verdict } = await readMigrationStatus(db);
    expect(sources[0]).toMatchObject({ adopted: 1, cookieMaxAgeInSeconds: inSeconds(expected) });
    expect(verdict.answer).toBe(expected === 1 ? "safe to drop" : "not yet");
  },
);

test("a cookie that is never upgraded and has no end is in the way while it is used", async () => {
  let mode: "bridge" | "drain" = "bridge";
  const clock = new TestClock(now);
  const app = await startBridgedApp(database.pool, {
    mode: () => mode,
    clock: clock.now,
    config: { signed: false, maxAge: "session" },
  });
  const browser = app.browser();
  await browser.get("/login");
  mode = "drain";
  for (let day = 0; day < 35; day += 1) {
    clock.advance(86_400);
    await browser.get("/whoami");
  }
  expect((await browser.get("/whoami")).body.session).toEqual({ userId: "user-1" });
  const { verdict, lastCookieExpiresAt } = await app.bridge.status();
  expect(verdict).toMatchObject({ answer: "not yet", estimatedAt: lastCookieExpiresAt });
  clock.advance(31 * 86_400);
  expect((await app.bridge.status()).verdict.answer).toBe("safe to drop");
  await app.close();
});

test("processes whose function gives each request another mode do not disagree", async () => {
  for (const mode of ["observe", "drain"]) {
    const about = { sources: [source], modeFrom: "function" };
    await seedProcess(database.pool, { mode, about }, now);
  }
  const told = async () => (await readMigrationStatus(db)).verdict.reasons.join();
  expect(await told()).not.toContain("different modes");
  for (const mode of ["observe", "drain"]) {
    await seedProcess(database.pool, { mode, about: { sources: [source] } }, now);
  }
  expect(await told()).toContain("different modes (drain, observe)");
});

test("while a function gives some requests of today another mode, cookies are still given out", async () => {
  const about = { modeFrom: "function", sources: [{ ...source, cookieMaxAgeInSeconds: 1 }] };
  await seedProcess(database.pool, { mode: "drain", about }, now);
  const moment = new Date(now.getTime() + 1000);
  await seedProcess(
    database.pool,
    { mode: "drain", about: { ...about, modeFrom: "option" } },
    moment,
  );
  await requests("bridge", 0);
  expect((await readMigrationStatus(db)).verdict.reasons).toEqual([
    "some requests of today were in observe or bridge: cookies are still given out",
  ]);
  await database.pool.query(`truncate "sessionBridgeHit"`);
  await requests("bridge", 2);
  expect((await readMigrationStatus(db)).verdict.answer).toBe("safe to drop");
});

import { afterAll, beforeAll, expect, test } from "vitest";
import type { MigrationStatus, Mode } from "../../src/index.js";
import { createDatabase } from "../../src/store/database.js";
import { changeMode } from "../../src/store/mode-log.js";
import { type Cluster, startWorkers } from "../support/cluster.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { countedInDatabase, Ledger } from "../support/soak/ledger.js";
import { dayInMs, SimulatedUser, source, type World } from "../support/soak/simulated-user.js";
import { createCompasTable } from "../support/systems/compas.js";

// A month of 2,000 users at three processes, from plain cookies to tokens. The users keep a ledger of what
// they did and got, and every day the status has to say the same.
const users = 2000;
const days = 30;
const visitsPerDay = 0.55;
const start = Date.parse("2026-03-01T00:00:00Z");
const dayOf = (day: number) => new Date(start + day * dayInMs).toISOString().slice(0, 10);

let database: TestDatabase;
let fleet: Cluster;
let world: World;
let everybody: SimulatedUser[];
beforeAll(async () => {
  database = await testDatabase();
  await createCompasTable(database.pool);
  fleet = await startWorkers(3, new URL("../support/soak/soak-app.ts", import.meta.url), {
    DATABASE_URL: database.url,
    TOLD_TIME: String(start),
  });
  const random = randomNumbers(20_260_301);
  world = {
    ledger: new Ledger(),
    sessions: new Set(),
    mode: "observe",
    now: start,
    random,
    baseUrl: () => fleet.baseUrls[Math.floor(random() * 3)]!,
  };
  everybody = Array.from({ length: users }, (_, index) => {
    // Some clients never learn it, most know it already, the others are updated within days.
    const isOld = index % 250 === 0;
    const isLate = index % 3 === 0;
    const client = isOld ? "1.0" : isLate ? `2.${index % 5}` : "3.0";
    const from = isOld ? Infinity : isLate ? start + (3 + (index % 5)) * dayInMs : 0;
    return new SimulatedUser(world, `user-${index}`, client, from);
  });
});
afterAll(async () => {
  await fleet.close();
  await database.drop();
});

/** The same numbers in each run (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Who comes on a day, sixteen at a time, within two minutes: not at the hour of three or of six days before,
 * so that nobody's cookie ends, or is renewed, at that very time.
 */
async function live(day: number): Promise<void> {
  world.now = start + day * dayInMs + (8 + 2 * (day % 4)) * 60 * 60 * 1000;
  const coming = everybody.filter(() => world.random() < visitsPerDay);
  const visit = async (): Promise<void> => {
    for (let user = coming.pop(); user !== undefined; user = coming.pop()) {
      world.now += 100;
      await user.visit();
    }
  };
  await Promise.all(Array.from({ length: 16 }, visit));
}

/** What the processes say, once all of them have added their counts. */
async function statusOfFleet(): Promise<MigrationStatus> {
  let status: unknown;
  for (const baseUrl of fleet.baseUrls) {
    const answer = await fetch(`${baseUrl}/status`, { headers: { "x-now": String(world.now) } });
    expect(answer.status).toBe(200);
    status = await answer.json();
  }
  return status as MigrationStatus;
}

async function flip(mode: Mode): Promise<void> {
  const db = createDatabase({
    pool: database.pool,
    preparedStatements: false,
    clock: () => new Date(world.now),
    generateId: () => crypto.randomUUID(),
  });
  await changeMode(db, { mode, defaultMode: "bridge", by: "the month" });
  world.mode = mode;
}

const isFlipped = async () =>
  (await statusOfFleet()).processes.map(({ mode }) => mode).join() ===
  [world.mode, world.mode, world.mode].join();

/** Sessions that only a cookie opens, as the users know it. */
function stragglers() {
  const left = [...world.sessions].filter(
    ({ hasEnded, adoptedAt, expiresAt }) =>
      !hasEnded && adoptedAt === undefined && expiresAt > world.now,
  );
  const upgraded = left.filter(({ isUpgraded }) => isUpgraded).length;
  return { upgraded, notUpgraded: left.length - upgraded };
}

/** What the verdict should be, from the ledger alone. */
function expectedAnswer(day: number): MigrationStatus["verdict"]["answer"] {
  const { upgraded, notUpgraded } = stragglers();
  if (world.mode === "tokens") return "safe to drop";
  if (world.mode === "drain") return upgraded + notUpgraded === 0 ? "safe to drop" : "not yet";
  if (world.mode === "observe") return "not yet";
  const week = Array.from({ length: 7 }, (_, index) => dayOf(day - index));
  const hits = world.ledger.sum(week, "legacy_cookies", "hit");
  const bearer = world.ledger.sum(week, "requests", "bearer");
  return hits / (hits + bearer) < 0.01 ? "safe to drain" : "not yet";
}

test("over a month the counts are the ledger's, and the verdict turns on the day it should", async () => {
  const told: string[] = [];
  const fright = "back to observe";
  await flip("observe");
  for (let day = 0; day < days; day += 1) {
    if (day === 3) await flip("bridge");
    if (told.at(-1) === "bridge safe to drain") await flip("drain");
    if (told.at(-1) === "drain safe to drop") await flip("tokens");
    // Somebody takes fright and goes back for a day: new cookies are given out, and nobody is logged out.
    if (told.slice(-2).join() === "drain not yet,drain not yet" && !told.includes(fright)) {
      await flip("observe");
      told.push(fright);
    } else if (told.at(-2) === fright) await flip("drain");
    if (day > 0) {
      world.now = start + day * dayInMs + 1;
      await expect.poll(isFlipped, { timeout: 10_000 }).toBe(true);
    }
    await live(day);
    world.now = start + day * dayInMs + 23 * 60 * 60 * 1000;

    const status = await statusOfFleet();
    expect(await countedInDatabase(database.pool)).toEqual(world.ledger.counts);
    const [of] = status.sources;
    const { upgraded, notUpgraded } = stragglers();
    expect([dayOf(day), of?.name, of?.remaining, of?.notUpgraded?.count]).toEqual([
      dayOf(day),
      source,
      upgraded,
      notUpgraded,
    ]);
    expect([dayOf(day), status.mode, status.verdict.answer]).toEqual([
      dayOf(day),
      world.mode,
      expectedAnswer(day),
    ]);
    told.push(`${status.mode} ${status.verdict.answer}`);
  }
  // It was no matter of course: each answer stood for days, and each turn came once.
  const turns = told.filter((answer, index) => answer !== told[index - 1]);
  expect(turns).toEqual([
    "observe not yet",
    "bridge not yet",
    "bridge safe to drain",
    "drain not yet",
    fright,
    "observe not yet",
    "drain not yet",
    "drain safe to drop",
    "tokens safe to drop",
  ]);
  expect(
    world.ledger.sum(
      Array.from({ length: days }, (_, d) => dayOf(d)),
      "refreshes",
      "reused",
    ),
  ).toBeGreaterThan(0);
  expect(fleet.output()).toBe("");
}, 400_000);

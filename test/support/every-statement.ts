import { createHash } from "node:crypto";
import type pg from "pg";
import { deleteExpired } from "../../src/store/cleanup.js";
import { deleteOldCounts } from "../../src/store/cleanup-counts.js";
import * as compas from "../../src/store/compas-table.js";
import { insertSession } from "../../src/store/create-session.js";
import { createDatabase, type Pool } from "../../src/store/database.js";
import * as find from "../../src/store/find-sessions.js";
import { addToHits } from "../../src/store/hits.js";
import * as links from "../../src/store/links.js";
import * as modes from "../../src/store/mode-log.js";
import * as old from "../../src/store/old-table.js";
import { readRefreshedSession } from "../../src/store/read-refreshed-session.js";
import { sessionReader } from "../../src/store/read-sessions.js";
import * as status from "../../src/store/read-status.js";
import { reportLeakedSession } from "../../src/store/report-leaked-session.js";
import { revokeSession } from "../../src/store/revoke-session.js";
import { rotateRefreshToken } from "../../src/store/rotate-tokens.js";
import { insertTokenPair } from "../../src/store/token-pair.js";
import * as update from "../../src/store/update-session.js";
import * as upgrades from "../../src/store/upgrade-sessions.js";
import { newPair } from "./upgraded-cookie.js";

/** A statement as it was sent. */
export interface Sent {
  /** Without the package's name and the hash; of one that is never prepared, its text. */
  readonly name: string;
  readonly text: string;
  readonly values: unknown[];
}

const day = 24 * 60 * 60 * 1000;
const oldTable = {
  name: `"session"`,
  key: `"id"`,
  keyType: "uuid",
  value: `"data"`,
  expires: `"expires"`,
} as const;

/** Makes Compas's old table and its queue, as far as statements name them. */
export async function createCompasTables(pool: pg.Pool): Promise<void> {
  await pool.query(`create table "session" ("id" uuid primary key, "expires" timestamptz not null,
    "data" jsonb not null, "createdAt" timestamptz not null, "updatedAt" timestamptz not null)`);
  await pool.query(`create table "job" ("id" bigserial primary key, "isComplete" boolean, "priority" int,
    "retryCount" int, "name" varchar, "scheduledAt" timestamptz, "data" jsonb, "handlerTimeout" int)`);
}

/**
 * Has every operation of src/store do its work once, on a migrated database without sessions but with Compas's
 * tables, and gives what they sent.
 */
export async function everyStatement(pool: pg.Pool): Promise<Sent[]> {
  const sent: Sent[] = [];
  const recording: Pool = Object.assign(Object.create(pool) as pg.Pool, {
    query: ({ name, text, values }: { name?: string; text: string; values: unknown[] }) => {
      sent.push({ name: name?.split(":")[1] ?? text, text, values });
      return pool.query({ text, values });
    },
  });
  const db = createDatabase({
    pool: recording,
    preparedStatements: true,
    clock: () => new Date(),
    generateId: () => crypto.randomUUID(),
  });
  const id = crypto.randomUUID();
  const key = createHash("sha256").update(id).digest();
  const encodedKey = key.toString("base64url");
  const now = new Date();
  const changes = { set: { count: 1 }, removed: ["name"] };
  const link = { key, bookkeeping: {}, memberOrder: [], expiresAt: now };
  const rotation = {
    refreshTokenId: id,
    graceInSeconds: 15,
    accessTokenMaxAgeInSeconds: 900,
    refreshTokenMaxAgeInSeconds: 86_400,
  };
  const legacyKey = { source: "a source", sealedKey: null, origin: key, ...link };
  const upgrade = {
    ...legacyKey,
    sessionId: id,
    data: "{}",
    maxAgeInSeconds: null,
    pair: newPair(),
  };
  const conditions = [{ path: ["userId"], value: "7" }];
  const inTable = { source: "a source", table: oldTable };

  for (const withLinks of [false, true]) {
    const read = sessionReader(db, { withLinks });
    await read(id);
    await Promise.all(Array.from({ length: 64 }, () => read(crypto.randomUUID())));
    await rotateRefreshToken(db, { ...rotation, withLinks });
  }
  await insertSession(db, {
    id: crypto.randomUUID(),
    data: "{}",
    maxAgeInSeconds: null,
    pair: newPair(),
  });
  await insertTokenPair(db, id, newPair());
  await readRefreshedSession(db, id);
  await update.commitChanges(db, id, changes);
  await update.commitChanges(db, id, changes, link);
  const commit = update.sessionCommitter(db);
  await Promise.all(Array.from({ length: 32 }, () => commit(crypto.randomUUID(), changes)));
  await update.replaceSession(db, { id, checksum: "", data: "{}" });
  await update.touchSession(db, id, "");
  await revokeSession(db, id);
  await reportLeakedSession(db, id);

  await links.linkReader(db)(encodedKey);
  await links.endedOriginReader(db)(encodedKey);
  await links.saveBookkeeping(db, link);
  await links.linkOfSession(db, id);
  await links.adoptSession(db, id);
  await links.renewOffer(db, key, 0, newPair());
  await old.linkAndRowReader(db, oldTable)(encodedKey, id);
  await upgrades.upgradeSession(db, upgrade);
  const upgradeUnchanged = upgrades.unchangedUpgrader(db, old.unchangedRow(oldTable));
  await upgradeUnchanged(upgrade, { id, value: "{}" });
  await upgrades.readLinkedKeys(db, [key]);
  await upgrades.readWrittenSession(db, id);
  const written = { id, written: "1", data: "{}" };
  await upgrades.mergeMissedChanges(db, written, changes, link, {});
  await links.endLegacyKey(db, { ...legacyKey, key: Buffer.from(id) });
  await compas.writeCompasSession(recording, { id, expires: now, data: {} });
  await compas.readCompasSession(recording, id);
  await compas.deleteCompasSession(recording, id);
  await compas.deleteExpiredCompasSessions(recording);

  for await (const _ of old.unlinkedKeys(db, "a source", oldTable));
  for await (const _ of old.keysOfTable(old.firstRowBy(recording), oldTable));
  await old.readOldRows(db, oldTable, [id]);
  await find.findSessions(db, conditions, 10);
  await find.countSessions(db, conditions);
  await find.findSessionPage(db, conditions, null, 200);
  await find.countOldSessions(db, oldTable, conditions);
  await find.endOldSessions(db, inTable, conditions);

  const limits = {
    before: new Date(now.getTime() - 14 * day),
    batchSize: 100,
    cookieLingerInSeconds: 1,
  };
  const { signal } = new AbortController();
  for (const isDryRun of [true, false]) {
    await deleteExpired(db, limits, { isDryRun, signal, afterPage: () => Promise.resolve() });
    await deleteOldCounts(db, { isDryRun });
  }

  const today = now.toISOString().slice(0, 10);
  await addToHits(db, { id, mode: "bridge", about: {}, startedAt: now }, 1, [], today);
  await modes.changeMode(db, { defaultMode: "bridge", by: "a test" });
  await modes.readMode(db);
  await modes.readModeChanges(db, 1);
  await status.readDayCounts(db, today, 30);
  await status.readLastCookieDay(db);
  await status.readStragglers(db, today, 7, 20);
  await status.readLinkedSessions(db, 30);
  await status.countUnlinked(db, "a source", oldTable);
  await status.readFleet(db, 60);
  await status.readDatabaseClock(db);
  return sent;
}

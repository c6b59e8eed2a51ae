import { isDeepStrictEqual } from "node:util";
import { type Changes, changesBetween, parseData, type SessionData } from "../commit.js";
import { BridgeError } from "../errors.js";
import { revokeSession } from "../store/revoke-session.js";
import {
  mergeMissedChanges,
  readWrittenSession,
  type Upgrade,
  upgradeSessions,
} from "../store/upgrade-sessions.js";
import type { LegacyEnvironment } from "./environment.js";
import { memberOrderOf } from "./member-order.js";
import type { OldSessions, Reading } from "./old-sessions.js";
import { hashLegacyKey } from "./sealed-key.js";
import type { LegacySource, LegacyValue } from "./source.js";
import { prepareUpgrade } from "./upgrade.js";

/** What became of an old session: the names of {@link BackfillCounts}. */
export type BackfillOutcome = "upgraded" | "already" | "gone" | "failed" | "notUpgradable";

/** A session as it was read, and what is made of it. */
interface Prepared {
  readonly key: string;
  readonly stored: unknown;
  readonly seen: LegacyValue;
  readonly upgrade: Upgrade;
}

/**
 * Upgrades sessions of an old store as requests would: one statement for all of them, and each exactly
 * once, whoever else upgrades it. A session that cannot be upgraded is told by the event `error` and
 * keeps no other from it.
 *
 * @throws BridgeError when a store is away
 */
export async function upgradeBatch(
  env: LegacyEnvironment,
  source: LegacySource,
  sessions: OldSessions,
  keys: readonly string[],
): Promise<BackfillOutcome[]> {
  const { db } = env.store;
  const outcomes: BackfillOutcome[] = [];
  const prepared: Prepared[] = [];
  const fail = (error: unknown) => {
    if (isOutage(error)) throw error;
    env.events.emit("error", error as Error);
    outcomes.push("failed");
  };

  const readings = await sessions.read(keys);
  for (const key of keys) {
    try {
      const next = await prepare(env, source, key, readings.get(key));
      if (typeof next === "string") outcomes.push(next);
      else prepared.push(next);
    } catch (error) {
      fail(error);
    }
  }

  const made: Prepared[] = [];
  async function upgrade(all: readonly Prepared[]): Promise<void> {
    if (all.length === 0) return;
    try {
      const checksums = await upgradeSessions(
        db,
        all.map((each) => each.upgrade),
      );
      for (const each of all) {
        if (checksums.has(each.upgrade.sessionId)) made.push(each);
        else outcomes.push("already");
      }
    } catch (error) {
      // The statement does not say whose data jsonb cannot hold.
      if (all.length === 1 || isOutage(error)) fail(error);
      else for (const each of all) await upgrade([each]);
    }
  }
  await upgrade(prepared);

  const after = await sessions.read(made.map(({ key }) => key));
  for (const session of made) {
    const outcome = await settle(env, source, sessions, session, after.get(session.key));
    outcomes.push(outcome);
    if (outcome !== "upgraded") continue;
    const { sessionId } = session.upgrade;
    env.events.emit("upgraded", { source: source.name, sessionId });
  }
  return outcomes;
}

async function prepare(
  env: LegacyEnvironment,
  source: LegacySource,
  key: string,
  reading: Reading | undefined,
): Promise<Prepared | BackfillOutcome> {
  if (reading === undefined) return "gone";
  if ("error" in reading) throw reading.error;
  const stored = reading.value;
  if (typeof stored !== "object" || stored === null) return "notUpgradable";
  const seen = splitStored(source, stored);
  const expiresAt = source.expiresAt(seen.bookkeeping);
  if (expiresAt !== null && expiresAt.getTime() <= Date.now()) return "gone";
  const identity = { source, legacyKey: { key }, hash: hashLegacyKey(source.name, key) };
  return { key, stored, seen, upgrade: await prepareUpgrade(env, identity, seen) };
}

/**
 * The upgrade and the old store share no transaction. A request through the bridge that was under way
 * finds the link when it commits or logs out. What another writer has done since the session was read
 * (a process without the bridge, a request whose own upgrade failed) is seen here: a row that has gone
 * ends the session, and changes are merged, except those of members that somebody has committed since.
 */
async function settle(
  env: LegacyEnvironment,
  source: LegacySource,
  sessions: OldSessions,
  { key, stored, seen, upgrade }: Prepared,
  reading: Reading | undefined,
): Promise<BackfillOutcome> {
  const { db } = env.store;
  const id = upgrade.sessionId;
  let now = reading;
  for (;;) {
    if (now === undefined) {
      await revokeSession(db, id);
      return "gone";
    }
    if ("value" in now && isDeepStrictEqual(now.value, stored)) return "upgraded";
    // First the session and then the row: whatever that holds by then was committed, or will be.
    const session = await readWrittenSession(db, id);
    if (session === undefined) return "upgraded";
    now = (await sessions.read([key])).get(key);
    if (now === undefined) continue;
    try {
      if ("error" in now) throw now.error;
      const next = splitStored(source, now.value);
      const { bookkeeping } = next;
      const link = {
        key: upgrade.key,
        bookkeeping,
        memberOrder: memberOrderOf(next.data),
        expiresAt: source.expiresAt(bookkeeping),
      };
      const changes = missedChanges(source, seen, next, parseData(session.data));
      if (await mergeMissedChanges(db, session, changes, link, seen.bookkeeping)) return "upgraded";
    } catch (error) {
      if (isOutage(error)) throw error;
      env.events.emit("error", error as Error);
      return "upgraded";
    }
  }
}

function missedChanges(
  source: LegacySource,
  seen: LegacyValue,
  next: LegacyValue,
  current: SessionData,
): Changes {
  const { set, removed } = changesBetween(seen.data, next.data) ?? { set: {}, removed: [] };
  const isAsSeen = (name: string) => isDeepStrictEqual(current[name], seen.data[name]);
  const own = source.ownMaxAgeInSeconds(next.bookkeeping);
  const isOwnNew = own !== source.ownMaxAgeInSeconds(seen.bookkeeping);
  return {
    set: Object.fromEntries(Object.entries(set).filter(([name]) => isAsSeen(name))),
    removed: removed.filter(isAsSeen),
    ...(isOwnNew && { maxAgeInSeconds: own }),
  };
}

function splitStored(source: LegacySource, value: unknown): LegacyValue {
  return JSON.parse(JSON.stringify(source.split(value, undefined))) as LegacyValue;
}

// An old store that does not give one session is away only when it gives none.
const isOutage = (error: unknown) =>
  error instanceof BridgeError && error.status === 503 && error.code !== "legacy-store-unavailable";

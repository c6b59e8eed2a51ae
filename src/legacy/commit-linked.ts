import { isDeepStrictEqual } from "node:util";
import { type Changes, changesBetween, type SessionData } from "../commit.js";
import { type LiveLink, saveBookkeeping } from "../store/links.js";
import { commitChanges } from "../store/update-session.js";
import { commitThrough, type OldValue, rowOf, versionSeen } from "./commit-through.js";
import type { LegacyEnvironment } from "./environment.js";
import { memberOrderOf } from "./member-order.js";
import type { LegacySource, LegacyValue } from "./source.js";
import type { LegacyIdentity } from "./upgrade.js";

/** What the old middleware stores of a linked session. */
export interface Stored {
  /** As it was read. */
  readonly seen: LegacyValue;
  readonly value: LegacyValue;
  /** Its row in the old store, if that is to be written. */
  readonly old: OldValue | undefined;
}

/**
 * Commits a change by the old middleware to the token session, and through to the old store. Gives the
 * link as it is then. One statement, none when nothing changed.
 */
export async function commitLinked(
  env: LegacyEnvironment,
  { source, hash }: LegacyIdentity,
  link: LiveLink,
  { seen, value, old }: Stored,
): Promise<LiveLink | "ended"> {
  const { data, bookkeeping } = value;
  const changes = changesOf(source, seen, value);
  if (changes === undefined && isDeepStrictEqual(bookkeeping, seen.bookkeeping)) return link;
  const { db } = env.store;
  const memberOrder = memberOrderOf(data);
  const kept = { key: hash, bookkeeping, memberOrder, expiresAt: source.expiresAt(bookkeeping) };
  const toValue = (merged: SessionData) => source.join({ data: merged, bookkeeping });
  const row = env.writeThrough && old ? rowOf(old, toValue, env.events) : undefined;
  const committed = await commitThrough(
    db,
    { id: link.sessionId, checksum: link.checksum, data },
    row,
    () =>
      changes === undefined
        ? saveBookkeeping(db, kept)
        : commitChanges(db, link.sessionId, changes, kept),
  );
  if (committed === undefined) return "ended";
  if (changes !== undefined && committed.previous !== link.checksum)
    env.events.emit("merged", { sessionId: link.sessionId });
  const checksum = versionSeen(link.checksum, committed);
  return { ...link, bookkeeping, memberOrder, data: JSON.stringify(data), checksum };
}

function changesOf(
  source: LegacySource,
  seen: LegacyValue,
  value: LegacyValue,
): Changes | undefined {
  const changes = changesBetween(seen.data, value.data);
  const maxAgeInSeconds = source.ownMaxAgeInSeconds(value.bookkeeping);
  if (maxAgeInSeconds === source.ownMaxAgeInSeconds(seen.bookkeeping)) return changes;
  return { set: {}, removed: [], ...changes, maxAgeInSeconds };
}

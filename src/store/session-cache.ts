import type { AtOnce } from "../at-once.js";
import { BoundedMap } from "../bounded-map.js";
import { tellRarely } from "../tell-rarely.js";
import { type ChangeFeed, createChangeFeed } from "./change-feed.js";
import { type ChangedSessions, placeOf } from "./changed-sessions.js";
import type { Database, Pool } from "./database.js";
import type { ReadSession, SessionReader } from "./read-sessions.js";

/** How much is cached, and for how long. */
export interface CacheLimits {
  readonly maxEntries: number;
  readonly maxAgeInSeconds: number;
}

/** Stands between the requests and the database. */
export interface SessionCache {
  readonly over: (read: SessionReader) => CachedReader;
  close(): void;
}

type CachedReader = (accessTokenId: string) => AtOnce<ReadSession | undefined>;

/** Undefined without the option `cache`. */
export function createSessionCache(
  db: Database,
  { cache, directPool }: { cache: CacheLimits | undefined; directPool: Pool | undefined },
  tell: (error: Error) => void,
): SessionCache | undefined {
  const { changes } = db;
  if (cache === undefined || directPool === undefined || changes === undefined) return undefined;
  const feed = createChangeFeed(
    db,
    changes,
    directPool,
    tellRarely(tell, () => db.now()),
  );
  return {
    over: (read) => cachedReader(read, { db, changes, feed }, cache),
    close: () => {
      feed.close();
    },
  };
}

interface Entry {
  readonly row: ReadSession;
  /** Where the changes of its session are noted. */
  readonly place: number;
  /** Of the changes, before the row was read. */
  readonly moment: number;
  readonly from: number;
  readonly until: number;
}

/**
 * A reader that remembers live sessions by the id of the access token, and answers at once with one that it
 * knows to be unchanged: no change of it has been heard of since before it was read, and whatever has been
 * changed until a second ago has been heard of. Else, and for all that it does not find, it asks `read`.
 */
function cachedReader(
  read: SessionReader,
  source: { db: Database; changes: ChangedSessions; feed: Pick<ChangeFeed, "isCurrent"> },
  { maxEntries, maxAgeInSeconds }: CacheLimits,
): CachedReader {
  const { db, changes, feed } = source;
  const entries = new BoundedMap<string, Entry>(maxEntries);

  async function readAndKeep(tokenId: string, from: number): Promise<ReadSession | undefined> {
    const { moment } = changes;
    const row = await read(tokenId);
    if (row === undefined) return undefined;
    const until = Math.min(from + maxAgeInSeconds * 1000, row.tokenExpiresAt);
    entries.set(tokenId, { row, place: placeOf(row.id), moment, from, until });
    return row;
  }

  return (tokenId) => {
    if (!feed.isCurrent()) return read(tokenId);
    const now = db.now().getTime();
    const entry = entries.get(tokenId);
    if (entry === undefined) return readAndKeep(tokenId, now);
    const { from, until, moment, place } = entry;
    // A clock may be set back.
    if (now >= from && now < until && !changes.hasChangedSince(moment, place)) return entry.row;
    entries.delete(tokenId);
    return readAndKeep(tokenId, now);
  };
}

import { parseData, type SessionData } from "../commit.js";
import { BridgeError } from "../errors.js";
import type { BridgeEvents, Events } from "../events.js";
import type { Database } from "../store/database.js";
import { type CommittedSession, readSession, touchSession } from "../store/update-session.js";

/** How to reach the value of one key in the old store. */
export interface OldValue {
  write(value: unknown): Promise<unknown>;
  destroy(): Promise<unknown>;
}

/** One session's row in the old store. A failure to reach it is told, not thrown. */
export interface OldRow {
  write(data: SessionData): Promise<unknown>;
  destroy(): Promise<unknown>;
}

/** The token session holds the truth: an old store that is away must not fail the request. */
export function rowOf(
  old: OldValue,
  toValue: (data: SessionData) => unknown,
  events: Events<BridgeEvents>,
): OldRow {
  const tell = (cause: unknown) => {
    events.emit("error", new BridgeError("legacy-store-unavailable", { cause }));
  };
  return {
    write: (data) => old.write(toValue(data)).catch(tell),
    destroy: () => old.destroy().catch(tell),
  };
}

/**
 * The version that a request's own view of the data has after a commit: none when others' changes were
 * merged, which the request has not seen.
 */
export const versionSeen = (loaded: string, { previous, checksum }: CommittedSession) =>
  previous === loaded ? checksum : "";

/**
 * Commits to the token session and keeps the old store's row in step, though the two stores share no
 * transaction. The row is written first: a logout destroys it after it has revoked the session, so
 * either it comes after this write, or the commit finds the session ended and takes the write back. A
 * commit that finds the version it loaded is ordered behind all others, and so was its write; one that
 * finds another version writes again what was merged.
 */
export async function commitThrough(
  db: Database,
  session: { id: string; checksum: string; data: SessionData },
  row: OldRow | undefined,
  commit: () => Promise<CommittedSession | undefined>,
): Promise<CommittedSession | undefined> {
  await row?.write(session.data);
  const committed = await commit();
  if (committed === undefined) await row?.destroy();
  else if (committed.previous !== session.checksum) await settleRow(db, session.id, committed, row);
  return committed;
}

/**
 * Writes the row until it was written with the version that is then still the session's. The version is
 * touched in the same step, so that a commit under way which wrote its row before this one finds a
 * conflict, and settles in turn. Two round trips for each version that was committed meanwhile.
 */
export async function settleRow(
  db: Database,
  sessionId: string,
  committed: { checksum: string; data: string },
  row: OldRow | undefined,
): Promise<void> {
  if (row === undefined) return;
  let written = committed;
  for (;;) {
    await row.write(parseData(written.data));
    if (await touchSession(db, sessionId, written.checksum)) return;
    const current = await readSession(db, sessionId);
    if (current === undefined) {
      await row.destroy();
      return;
    }
    written = current;
  }
}

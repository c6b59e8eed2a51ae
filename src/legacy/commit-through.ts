import { isDeepStrictEqual } from "node:util";
import { parseData, type SessionData } from "../commit.js";
import type { Database } from "../store/database.js";
import { type CommittedSession, isSessionLive } from "../store/update-session.js";

/** One session's row in the old store. A failure to reach it is told, not thrown. */
export interface OldRow {
  write(data: SessionData): Promise<unknown>;
  destroy(): Promise<unknown>;
}

/**
 * Commits to the token session and keeps the old store's row in step, without bringing back the row of
 * a session that is being logged out: the row is written first. A logout destroys it after it has
 * revoked the session, so either it comes after this write, or the commit finds the session ended and
 * takes the write back. What a conflict merged is written again, and then checked.
 */
export async function commitThrough(
  db: Database,
  session: { id: string; data: SessionData },
  row: OldRow | undefined,
  commit: () => Promise<CommittedSession | undefined>,
): Promise<CommittedSession | undefined> {
  await row?.write(session.data);
  const committed = await commit();
  if (committed === undefined) {
    await row?.destroy();
    return undefined;
  }
  const merged = parseData(committed.data);
  if (row !== undefined && !isDeepStrictEqual(merged, parseData(JSON.stringify(session.data)))) {
    await row.write(merged);
    if (!(await isSessionLive(db, session.id))) await row.destroy();
  }
  return committed;
}

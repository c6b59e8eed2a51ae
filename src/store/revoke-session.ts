import { type Database, statement } from "./database.js";

const revoke = statement<{ id: string }>(
  "revoke-session",
  `with tokens as (
    update "sessionStoreToken" set "revokedAt" = $2 where "session" = $1 and "revokedAt" is null
  )
  update "sessionStore" set "revokedAt" = $2, "updatedAt" = $2
  where "id" = $1 and "revokedAt" is null
  returning "id"`,
);

/** Ends a session and its tokens for good; false when it had ended before. One round trip. */
export async function revokeSession(db: Database, sessionId: string): Promise<boolean> {
  const rows = await db.change(sessionId, revoke, [sessionId, db.now()]);
  return rows.length > 0;
}

import { type Database, statement } from "./database.js";

const revoke = statement<{ id: string }>(
  "revoke-session",
  `with tokens as (
    update "sessionStoreToken" set "revokedAt" = $2 where "session" = any($1::uuid[]) and "revokedAt" is null
  )
  update "sessionStore" set "revokedAt" = $2, "updatedAt" = $2
  where "id" = any($1::uuid[]) and "revokedAt" is null
  returning "id"`,
);

/** Ends sessions and their tokens for good; gives how many had not ended before. One round trip. */
export async function revokeSessions(db: Database, ids: readonly string[]): Promise<number> {
  return (await db.change(ids, revoke, [ids, db.now()])).length;
}

/** The same for one; false when it had ended before. */
export async function revokeSession(db: Database, sessionId: string): Promise<boolean> {
  return (await revokeSessions(db, [sessionId])) > 0;
}

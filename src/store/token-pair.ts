import { type Database, statement } from "./database.js";

/**
 * What determines a token pair: with deterministic signatures (HS256, EdDSA) the same record always
 * gives the same two strings. Token ids are row ids; times are seconds since the epoch.
 */
export interface PairRecord {
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly issuedAt: number;
  readonly accessTokenExpiresAt: number;
  readonly refreshTokenExpiresAt: number;
}

export const toDate = (seconds: number) => new Date(seconds * 1000);

const insertTokens = statement<{ id: string }>(
  "insert-token-pair",
  `insert into "sessionStoreToken" ("id", "session", "expiresAt", "refreshToken", "createdAt")
  select v."id", s."id", v."expiresAt", v."refreshToken", $6
  from "sessionStore" s, (values
    ($2::uuid, $3::timestamptz, null::uuid), ($4::uuid, $5::timestamptz, $2::uuid)
  ) v ("id", "expiresAt", "refreshToken")
  where s."id" = $1 and s."revokedAt" is null
  returning "id"`,
);

/** Adds a pair to a live session; false when the session has ended. One round trip. */
export async function insertTokenPair(
  db: Database,
  sessionId: string,
  pair: PairRecord,
): Promise<boolean> {
  const rows = await db.rows(insertTokens, [
    sessionId,
    pair.refreshToken,
    toDate(pair.refreshTokenExpiresAt),
    pair.accessToken,
    toDate(pair.accessTokenExpiresAt),
    db.now(),
  ]);
  return rows.length > 0;
}

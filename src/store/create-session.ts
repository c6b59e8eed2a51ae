import { type Database, statement } from "./database.js";
import type { PairRecord } from "./token-pair.js";
import { toDate } from "./token-pair.js";

/**
 * The version of session data: a hash of PostgreSQL's own rendering of the `jsonb`, which is canonical
 * (one order of members, one spelling of numbers). Computed where the data is merged.
 */
export const checksumOf = (jsonb: string) =>
  `encode(sha256(convert_to((${jsonb})::text, 'UTF8')), 'hex')`;

const createSession = statement<{ checksum: string }>(
  "create-session",
  `with tokens as (
    insert into "sessionStoreToken" ("id", "session", "expiresAt", "refreshToken", "createdAt")
    values ($5::uuid, $1::uuid, $6, null, $4), ($7::uuid, $1::uuid, $8, $5::uuid, $4)
  )
  insert into "sessionStore" ("id", "checksum", "data", "maxAgeInSeconds", "createdAt", "updatedAt")
  values ($1::uuid, ${checksumOf("$2::jsonb")}, $2::jsonb, $3, $4, $4)
  returning "checksum"`,
);

/** Creates a session with its first token pair. One round trip. */
export async function insertSession(
  db: Database,
  session: { id: string; data: string; maxAgeInSeconds: number | null; pair: PairRecord },
): Promise<string> {
  const { id, data, maxAgeInSeconds, pair } = session;
  const [row] = await db.rows(createSession, [
    id,
    data,
    maxAgeInSeconds,
    db.now(),
    pair.refreshToken,
    toDate(pair.refreshTokenExpiresAt),
    pair.accessToken,
    toDate(pair.accessTokenExpiresAt),
  ]);
  return row?.checksum ?? "";
}

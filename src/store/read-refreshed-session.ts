import { type Database, statement } from "./database.js";

const readByRefreshToken = statement<{ id: string; data: string }>(
  "read-by-refresh-token",
  `select s."id", s."data"::text as "data"
  from "sessionStoreToken" t join "sessionStore" s on s."id" = t."session"
  where t."id" = $1::uuid and t."refreshToken" is null and s."revokedAt" is null`,
);

/** The live session of a refresh token, for those who resolve lifetimes by it. One round trip. */
export async function readRefreshedSession(
  db: Database,
  refreshTokenId: string,
): Promise<{ id: string; data: string } | undefined> {
  const [row] = await db.rows(readByRefreshToken, [refreshTokenId]);
  return row;
}

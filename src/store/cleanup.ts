import { type Database, statement } from "./database.js";

const firstId = "00000000-0000-0000-0000-000000000000";
const firstKey: Buffer = Buffer.alloc(0);

interface Page<Cursor> {
  cursor: Cursor | null;
  deleted: string;
}

// Each statement walks one page of the primary key, so a batch is bounded by the rows it looks at and
// needs no index on what changes often.
const deleteTokens = statement<Page<string>>(
  "cleanup-tokens",
  `with page as (
    select "id", "refreshToken", "expiresAt", "revokedAt" from "sessionStoreToken"
    where "id" > $1::uuid order by "id" limit $3
  ), deleted as (
    delete from "sessionStoreToken" t using page
    where t."id" = page."id" and page."refreshToken" is null
      and (page."expiresAt" < $2 or page."revokedAt" < $2)
    returning t."id"
  )
  select (select "id" from page order by "id" desc limit 1) as "cursor",
    (select count(*) from deleted) as "deleted"`,
);

// @compas/store makes a session first and its tokens a moment later: a young session is not yet one that
// has lost its tokens.
const deleteSessions = statement<Page<string>>(
  "cleanup-sessions",
  `with page as (
    select "id", "revokedAt", "createdAt" from "sessionStore" where "id" > $1::uuid order by "id" limit $3
  ), deleted as (
    delete from "sessionStore" s using page
    where s."id" = page."id" and s."updatedAt" < $2
      and not exists (select from "sessionStoreToken" t where t."session" = page."id")
      and (page."revokedAt" is not null or page."createdAt" < $4::timestamptz - interval '1 hour' and not exists (
        select from "sessionBridgeLink" l where l."session" = page."id"
          and (l."adoptedAt" is null or l."adoptedAt" > $5) and (l."expiresAt" is null or l."expiresAt" > $4)))
    returning s."id"
  )
  select (select "id" from page order by "id" desc limit 1) as "cursor",
    (select count(*) from deleted) as "deleted"`,
);

const deleteTombstones = statement<Page<Buffer>>(
  "cleanup-tombstones",
  `with page as (
    select "key", "session", "expiresAt" from "sessionBridgeLink"
    where "key" > $1::bytea order by "key" limit $3
  ), deleted as (
    delete from "sessionBridgeLink" l using page
    where l."key" = page."key" and l."session" is null and page."expiresAt" < $2
    returning l."key"
  )
  select (select "key" from page order by "key" desc limit 1) as "cursor",
    (select count(*) from deleted) as "deleted"`,
);

/** How many rows each table lost. */
export interface Cleaned {
  readonly refreshTokens: number;
  readonly sessions: number;
  readonly links: number;
}

/**
 * Deletes refresh tokens (and with them their access tokens) that expired or were revoked before
 * `before`, then sessions without tokens, then links of ended sessions whose cookie has expired. A
 * session that a cookie still opens is kept, however old its tokens are. One round trip
 * for each `batchSize` rows of a table.
 */
export async function deleteExpired(
  db: Database,
  limits: { before: Date; batchSize: number; cookieLingerInSeconds: number },
): Promise<Cleaned> {
  const { before, batchSize, cookieLingerInSeconds } = limits;
  const now = db.now();
  const lingeringSince = new Date(now.getTime() - cookieLingerInSeconds * 1000);
  return {
    refreshTokens: await walk(firstId, (cursor) =>
      db.rows(deleteTokens, [cursor, before, batchSize]),
    ),
    sessions: await walk(firstId, (cursor) =>
      db.rows(deleteSessions, [cursor, before, batchSize, now, lingeringSince]),
    ),
    links: await walk(firstKey, (cursor) => db.rows(deleteTombstones, [cursor, before, batchSize])),
  };
}

async function walk<Cursor>(
  start: Cursor,
  page: (cursor: Cursor) => Promise<Page<Cursor>[]>,
): Promise<number> {
  let deleted = 0;
  let cursor: Cursor | null = start;
  while (cursor !== null) {
    const [result]: Page<Cursor>[] = await page(cursor);
    deleted += Number(result?.deleted ?? 0);
    cursor = result?.cursor ?? null;
  }
  return deleted;
}

import { type Database, statement } from "./database.js";
import type { OldTable } from "./old-table.js";

/** A member of the session's data, and what it must be: text, a number or a boolean, as text. */
export interface Condition {
  readonly path: readonly string[];
  readonly value: string;
}

/** What an operator is told of a session: never its data. */
export interface FoundSession {
  readonly id: string;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  /** The old system that it was upgraded from. */
  readonly source: string | null;
  readonly isAdopted: boolean;
  readonly liveTokens: number;
  readonly cookieExpiresAt: Date | null;
}

// Every condition of $1, a JSON array, holds.
const matches = (data: string) => `not exists (
    select from jsonb_to_recordset($1::jsonb) as w ("path" text[], "value" text)
    where (${data} #>> w."path") is distinct from w."value")`;

const find = statement<FoundSession>(
  "find-sessions",
  `select s."id", s."createdAt", s."updatedAt", l."source", l."adoptedAt" is not null as "isAdopted",
    l."expiresAt" as "cookieExpiresAt", (select count(*) from "sessionStoreToken" t
      where t."session" = s."id" and t."revokedAt" is null and t."expiresAt" > $2)::float8 as "liveTokens"
  from "sessionStore" s left join "sessionBridgeLink" l on l."session" = s."id"
  where s."revokedAt" is null and ${matches('s."data"')}
  order by s."updatedAt" desc limit $3`,
);

const count = statement<{ count: number }>(
  "count-found-sessions",
  `select count(*)::float8 as "count" from "sessionStore" s where s."revokedAt" is null and ${matches('s."data"')}`,
);

const findPage = statement<{ id: string }>(
  "find-session-page",
  `select s."id" from "sessionStore" s
  where s."revokedAt" is null and s."id" > $2::uuid and ${matches('s."data"')} order by s."id" limit $3`,
);

/** The sessions that have not been revoked, the last changed first. Reads the whole table, as each of these. */
export async function findSessions(
  db: Database,
  conditions: readonly Condition[],
  limit: number,
): Promise<FoundSession[]> {
  return db.rows(find, [JSON.stringify(conditions), db.now(), limit]);
}

export async function countSessions(
  db: Database,
  conditions: readonly Condition[],
): Promise<number> {
  const [row] = await db.rows(count, [JSON.stringify(conditions)]);
  return row?.count ?? 0;
}

/** The next ids after a cursor (at first null), in their order. One round trip. */
export async function findSessionPage(
  db: Database,
  conditions: readonly Condition[],
  after: string | null,
  limit: number,
): Promise<string[]> {
  const cursor = after ?? "00000000-0000-0000-0000-000000000000";
  const rows = await db.rows(findPage, [JSON.stringify(conditions), cursor, limit]);
  return rows.map(({ id }) => id);
}

const foundRows = (table: OldTable) => `from ${table.name} o
    where o.${table.expires} > $2::timestamptz and ${matches(`o.${table.value}`)}`;

/** Counts the live sessions of an old table. One round trip. */
export async function countOldSessions(
  db: Database,
  table: OldTable,
  conditions: readonly Condition[],
): Promise<number> {
  const counting = statement<{ count: number }>(
    "count-old-sessions",
    `select count(*)::float8 as "count" ${foundRows(table)}`,
  );
  const [row] = await db.rows(counting, [JSON.stringify(conditions), new Date()]);
  return row?.count ?? 0;
}

// How long a request may still be under way that has read a row before it was deleted.
const tombstoneInSeconds = 24 * 60 * 60;

/**
 * Ends the live sessions of an old table: deletes their rows, and leaves a tombstone for each that is not
 * linked, so that no request under way upgrades it. Gives how many rows went. One round trip.
 */
export async function endOldSessions(
  db: Database,
  { source, table }: { source: string; table: OldTable },
  conditions: readonly Condition[],
): Promise<number> {
  const ending = statement<{ count: number }>(
    "end-old-sessions",
    `with found as (
      select o.${table.key}::text as "key" ${foundRows(table)}
    ), tombstones as (
      insert into "sessionBridgeLink" ("key", "source", "session", "expiresAt", "createdAt")
      select sha256($3::bytea || convert_to("key", 'UTF8')), $4, null, $5, $6 from found
      on conflict ("key") do nothing
    ), gone as (
      delete from ${table.name} o using found where o.${table.key} = found."key"::${table.keyType} returning 1
    )
    select count(*)::float8 as "count" from gone`,
  );
  const now = db.now();
  const tombstoneUntil = new Date(now.getTime() + tombstoneInSeconds * 1000);
  const prefix = Buffer.from(`${source}\0`);
  const values = [JSON.stringify(conditions), new Date(), prefix, source, tombstoneUntil, now];
  const [row] = await db.rows(ending, values);
  return row?.count ?? 0;
}

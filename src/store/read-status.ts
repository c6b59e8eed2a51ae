import { type Database, statement } from "./database.js";
import type { OldTable } from "./old-table.js";

/** The counts of one day, of all labels together. */
export interface DayCount {
  readonly day: string;
  readonly counter: string;
  readonly source: string;
  readonly outcome: string;
  readonly count: number;
}

const readCounts = statement<DayCount>(
  "read-counts",
  `select "day"::text as "day", "counter", "source", "outcome", sum("count")::float8 as "count"
  from "sessionBridgeHit" where "day" > $1::date - $2::int
  group by "day", "counter", "source", "outcome" order by "day"`,
);

/** The counts of the last `days` days, `today` among them. One round trip, like each of these. */
export async function readDayCounts(
  db: Database,
  today: string,
  days: number,
): Promise<DayCount[]> {
  return db.rows(readCounts, [today, days]);
}

// Before the first day the application ran without the bridge. Both look-ups end at one row of the index.
const readCookieDay = statement<{ day: string | null }>(
  "read-last-cookie-day",
  `select coalesce(
    (select "day" from "sessionBridgeHit" where "counter" = 'requests' and "source" in ('observe', 'bridge')
      order by "day" desc limit 1),
    (select "day" from "sessionBridgeHit" where "counter" = 'requests' order by "day" limit 1))::text as "day"`,
);

/** The last day on which cookies were given out or renewed; null when no request has been counted. */
export async function readLastCookieDay(db: Database): Promise<string | null> {
  const [row] = await db.rows(readCookieDay, []);
  return row?.day ?? null;
}

/** Who still comes with a cookie. */
export interface Straggler {
  readonly source: string;
  readonly labels: Record<string, string>;
  readonly hits: number;
  readonly lastDay: string;
}

const readLabels = statement<Straggler>(
  "read-stragglers",
  `select "source", "labels", sum("count")::float8 as "hits", max("day")::text as "lastDay"
  from "sessionBridgeHit"
  where "day" > $1::date - $2::int
    and ("counter" = 'legacy_cookies' and "outcome" = 'hit' or "counter" = 'brownouts')
  group by "source", "labels" order by "hits" desc, "labels" limit $3`,
);

export async function readStragglers(
  db: Database,
  today: string,
  days: number,
  limit: number,
): Promise<Straggler[]> {
  return db.rows(readLabels, [today, days, limit]);
}

/** The upgraded sessions of one source. */
export interface LinkedSessions {
  readonly source: string;
  /** Sessions that are alive. */
  readonly live: number;
  /** Of those, the ones whose client uses its tokens. */
  readonly adopted: number;
  /** Of those, the ones that only a cookie opens that may still come. */
  readonly remaining: number;
  /** When the last of those cookies expires; null where there is none, or that is not known. */
  readonly lastExpiresAt: Date | null;
  /** How many of those cookies end at a time that is not known. */
  readonly withoutExpiry: number;
  /** The longest lifetime that the application gave one of the live sessions by itself. */
  readonly longestOwnMaxAgeInSeconds: number | null;
}

// A refresh beside the bridge (by @compas/store) is an adoption as well. A cookie whose end nobody knows
// counts until nothing has been seen of it for $2 days.
const readLinked = statement<LinkedSessions>(
  "read-linked-sessions-by-source",
  `select "source", count(*)::float8 as "live",
    count(*) filter (where "isAdopted")::float8 as "adopted",
    count(*) filter (where "isRemaining")::float8 as "remaining",
    max("expiresAt") filter (where "isRemaining") as "lastExpiresAt",
    count(*) filter (where "isRemaining" and "expiresAt" is null)::float8 as "withoutExpiry",
    max("maxAgeInSeconds")::float8 as "longestOwnMaxAgeInSeconds"
  from (
    select l."source", l."expiresAt", s."maxAgeInSeconds", a."isAdopted", not a."isAdopted" and (l."expiresAt" > $1
      or l."expiresAt" is null and $1::timestamptz - make_interval(days => $2) < greatest(
        l."createdAt", s."updatedAt", to_timestamp((l."offer"->>'issuedAt')::bigint))) as "isRemaining"
    from "sessionBridgeLink" l join "sessionStore" s on s."id" = l."session" and s."revokedAt" is null,
      lateral (select l."adoptedAt" is not null or exists (
        select from "sessionStoreToken" t
        where t."id" = (l."offer"->>'refreshToken')::uuid and t."revokedAt" is not null) as "isAdopted") a
  ) x
  group by "source"`,
);

export async function readLinkedSessions(
  db: Database,
  forgottenAfterDays: number,
): Promise<LinkedSessions[]> {
  return db.rows(readLinked, [db.now(), forgottenAfterDays]);
}

/** Sessions in an old table that have not been upgraded. */
export interface UnlinkedSessions {
  readonly count: number;
  readonly lastExpiresAt: Date | null;
}

/** Counts the live sessions of an old table that no link knows. Reads the whole table. */
export async function countUnlinked(
  db: Database,
  source: string,
  table: OldTable,
): Promise<UnlinkedSessions> {
  const count = statement<UnlinkedSessions>(
    "count-unlinked",
    `select count(*)::float8 as "count", max(o.${table.expires}) as "lastExpiresAt"
    from ${table.name} o
    where o.${table.expires} > $2::timestamptz and not exists (
      select from "sessionBridgeLink" l
      where l."key" = sha256($1::bytea || convert_to(o.${table.key}::text, 'UTF8')))`,
  );
  const [row] = await db.rows(count, [Buffer.from(`${source}\0`), new Date()]);
  return row ?? { count: 0, lastExpiresAt: null };
}

/** A process that has served requests lately. */
export interface FleetProcess {
  readonly id: string;
  readonly mode: string;
  readonly about: unknown;
  readonly startedAt: Date;
  readonly seenAt: Date;
}

const readProcesses = statement<FleetProcess>(
  "read-processes",
  `select "id", "mode", "about", "startedAt", "seenAt" from "sessionBridgeProcess"
  where "seenAt" > $1 order by "startedAt", "id"`,
);

export async function readFleet(db: Database, seenWithinSeconds: number): Promise<FleetProcess[]> {
  return db.rows(readProcesses, [new Date(db.now().getTime() - seenWithinSeconds * 1000)]);
}

// The clock of the database, for those who compare theirs with it.
const readClock = statement<{ now: Date }>("read-clock", `select clock_timestamp() as "now"`);

export async function readDatabaseClock(db: Database): Promise<Date> {
  const [row] = await db.rows(readClock, []);
  return row?.now ?? db.now();
}

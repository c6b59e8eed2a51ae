import { type Database, statement } from "./database.js";

/** How often something was counted on one day. */
export interface Hit {
  /** UTC, as 2026-11-21. */
  readonly day: string;
  readonly counter: string;
  readonly source: string;
  readonly outcome: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly count: number;
}

/** What a running process tells of itself; nothing in it is secret. */
export interface ProcessReport {
  readonly id: string;
  readonly mode: string;
  readonly about: unknown;
  readonly startedAt: Date;
}

/** A label's value that some process has counted. */
export interface LabelValue {
  readonly name: string;
  readonly value: string;
}

// The process's own row decides whether this flush has been counted before: its answer may have been lost.
const addHits = statement<LabelValue>(
  "add-hits",
  `with flush as (
    insert into "sessionBridgeProcess" ("id", "flush", "mode", "about", "startedAt", "seenAt")
    values ($1, $2, $3, $4::jsonb, $5, $6)
    on conflict ("id") do update set "flush" = excluded."flush", "mode" = excluded."mode",
      "about" = excluded."about", "seenAt" = excluded."seenAt"
      where "sessionBridgeProcess"."flush" < excluded."flush"
    returning "id"
  ), counted as (
    insert into "sessionBridgeHit" ("day", "counter", "source", "outcome", "labels", "count")
    select h."day", h."counter", h."source", h."outcome", h."labels", h."count"
    from flush, jsonb_to_recordset($7::jsonb) as h ("day" date, "counter" varchar, "source" varchar,
      "outcome" varchar, "labels" jsonb, "count" bigint)
    order by h."day", h."counter", h."source", h."outcome", h."labels"
    on conflict ("day", "counter", "source", "outcome", "labels")
      do update set "count" = "sessionBridgeHit"."count" + excluded."count"
  )
  select distinct l."key" as "name", l."value"
  from "sessionBridgeHit" h, jsonb_each_text(h."labels") l
  where h."day" = $8::date
  limit 1000`,
);

/**
 * Adds counts to those of the day, once for each number of `flush`, which must grow. Gives the values of
 * labels that the fleet has counted on `today`. One round trip.
 */
export async function addToHits(
  db: Database,
  process: ProcessReport,
  flush: number,
  hits: readonly Hit[],
  today: string,
): Promise<LabelValue[]> {
  const { id, mode, about, startedAt } = process;
  const values = [id, flush, mode, JSON.stringify(about), startedAt, db.now()];
  return db.rows(addHits, [...values, JSON.stringify(hits), today]);
}

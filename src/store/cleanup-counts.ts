import { type Database, statement } from "./database.js";

const countsAreKeptForDays = 400;
const processesAreKeptForDays = 30;

const oldHits = `from "sessionBridgeHit" where "day" < $1::date - ${countsAreKeptForDays}`;
const oldProcesses = `from "sessionBridgeProcess" where "seenAt" < $1::timestamptz - interval '${processesAreKeptForDays} days'`;

const counting = {
  counts: statement<{ count: number }>(
    "count-old-hits",
    `select count(*)::float8 as "count" ${oldHits}`,
  ),
  processes: statement<{ count: number }>(
    "count-old-processes",
    `select count(*)::float8 as "count" ${oldProcesses}`,
  ),
};

const deleting = {
  counts: deleteStatement("delete-old-hits", oldHits, `"day"`),
  processes: deleteStatement("delete-old-processes", oldProcesses, `"id"`),
};

function deleteStatement(name: string, from: string, column: string) {
  return statement<{ count: number }>(
    name,
    `with gone as (delete ${from} returning ${column}) select count(*)::float8 as "count" from gone`,
  );
}

/** How many rows of what operators watch went. */
export interface CleanedCounts {
  /** Days of counts older than 400 days. */
  readonly counts: number;
  /** Processes that have not been seen for 30 days. */
  readonly processes: number;
}

/** Deletes counts and processes that nobody looks at any more, or counts them. Two round trips. */
export async function deleteOldCounts(
  db: Database,
  { isDryRun }: { isDryRun: boolean },
): Promise<CleanedCounts> {
  const act = isDryRun ? counting : deleting;
  const now = db.now();
  const [counts] = await db.rows(act.counts, [now.toISOString().slice(0, 10)]);
  const [processes] = await db.rows(act.processes, [now]);
  return { counts: counts?.count ?? 0, processes: processes?.count ?? 0 };
}

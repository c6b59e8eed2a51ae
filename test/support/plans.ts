import type pg from "pg";
import type { Sent } from "./every-statement.js";

/** A node of a plan that reads, as PostgreSQL explains it. */
interface Scan {
  /** Such as `Index Scan`. */
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  /** As many as PostgreSQL expects. */
  readonly "Plan Rows": number;
}

interface Node extends Scan {
  readonly Plans?: readonly Node[];
}

/**
 * How PostgreSQL would carry out a statement with these values; without any, how it would with whatever
 * values, as of a prepared statement (PostgreSQL 16). Nothing is carried out.
 */
export async function scansOf(
  client: pg.Pool | pg.PoolClient,
  { text, values }: { text: string; values?: unknown[] },
): Promise<Scan[]> {
  const options = values === undefined ? "generic_plan, format json" : "format json";
  const explain = `explain (${options}) ${text}`;
  const { rows } = await client.query<{ "QUERY PLAN": [{ Plan: Node }] }>(
    values === undefined ? explain : { text: explain, values },
  );
  return scansIn(rows[0]!["QUERY PLAN"][0].Plan);
}

const scansIn = (node: Node): Scan[] => [
  ...(node["Node Type"].endsWith("Scan") ? [node] : []),
  ...(node.Plans ?? []).flatMap(scansIn),
];

/** What reads a whole table, and for whom. Nothing of it is on the way of a request. */
export const readWholeTables: readonly string[] = [
  // koa-session-bridge sessions
  "count-found-sessions",
  "count-old-sessions",
  "end-old-sessions",
  "find-sessions",
  // status, the dashboard
  "count-unlinked",
  "read-linked-sessions-by-source",
  // The clean-up of Compas's old table, as its owner calls it.
  `delete from "session" where "expires" < $1`,
];

/** The tables that grow with the number of sessions. */
const large = ["sessionStore", "sessionStoreToken", "sessionBridgeLink", "session"];

/** More entries of an index than a request may look at. */
const many = 5_000;

/** Whether a plan reads a large table from end to end, or by an index that leaves it much of one. */
export const readsWholeTable = (scans: readonly Scan[]): boolean =>
  scans.some(
    ({ "Node Type": type, "Relation Name": table = "", "Plan Rows": rows }) =>
      (type === "Seq Scan" && large.includes(table)) ||
      (type === "Bitmap Index Scan" && rows > many),
  );

/** What a foreign key's trigger does when a row goes that is referred to: a look-up by each column that refers. */
export async function referenceLookUps(pool: pg.Pool): Promise<Sent[]> {
  const { rows } = await pool.query<{ text: string }>(
    `select format('select from %s where %I = $1', c.conrelid::regclass, a.attname) as "text"
    from pg_constraint c join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
    where c.contype = 'f' order by 1`,
  );
  return rows.map(({ text }) => ({ name: text, text, values: [crypto.randomUUID()] }));
}

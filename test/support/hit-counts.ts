import type pg from "pg";

/** What the database has counted: `counter source outcome` to the number, of all days and labels. */
export async function hitCounts(pool: pg.Pool): Promise<Record<string, number>> {
  const { rows } = await pool.query<{ name: string; count: number }>(
    `select concat_ws(' ', "counter", nullif("source", ''), nullif("outcome", '')) as "name",
      sum("count")::int as "count"
    from "sessionBridgeHit" group by 1 order by 1`,
  );
  return Object.fromEntries(rows.map(({ name, count }) => [name, count]));
}

/** How often requests were counted, whatever their mode and credential. */
export async function countedRequests(pool: pg.Pool): Promise<number> {
  const counts = Object.entries(await hitCounts(pool));
  return counts
    .filter(([name]) => name.startsWith("requests "))
    .reduce((sum, [, count]) => sum + count, 0);
}

import type pg from "pg";

/** What a load generator knows it has caused: `day counter source outcome client` to the number. */
export class Ledger {
  readonly #counts = new Map<string, number>();

  note(day: string, counter: string, source: string, outcome: string, client = ""): void {
    const key = [day, counter, source, outcome, client].join(" | ");
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  /** The sum of a counter over some days. */
  sum(days: readonly string[], counter: string, outcome: string): number {
    let sum = 0;
    for (const [key, count] of this.#counts) {
      const [day = "", name, , result] = key.split(" | ");
      if (days.includes(day) && name === counter && result === outcome) sum += count;
    }
    return sum;
  }

  get counts(): Record<string, number> {
    return Object.fromEntries([...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

/** What the database has counted, in the same form. */
export async function countedInDatabase(pool: pg.Pool): Promise<Record<string, number>> {
  const { rows } = await pool.query<{ key: string; count: number }>(
    `select concat_ws(' | ', "day"::text, "counter", "source", "outcome",
      coalesce("labels"->>'client', '')) as "key", "count"::int as "count" from "sessionBridgeHit"`,
  );
  return Object.fromEntries(
    rows.map(({ key, count }) => [key, count] as const).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

import type pg from "pg";
import { PgLegacyStore } from "../pg-legacy-store.js";
import type { StoredSession } from "./old-system.js";
import { dataOf } from "./session-api.js";

/** For the systems whose old store here is a {@link PgLegacyStore}. */
export async function preparePgLegacyStore(pool: pg.Pool): Promise<void> {
  await new PgLegacyStore(pool).createTable();
}

export async function rowsOfPgLegacyStore(pool: pg.Pool): Promise<StoredSession[]> {
  const { rows } = await pool.query<{ key: string; value: object }>(
    `select "key", "value" from "oldSession" order by "key"`,
  );
  return rows.map(({ key, value }) => ({ key, data: withoutUnderscored(dataOf(value)) }));
}

/** koa-session keeps its own members beside the data. */
export function withoutUnderscored(data: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(data).filter(([name]) => !name.startsWith("_")));
}

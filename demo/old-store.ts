import type { Pool } from "pg";

/** What the application keeps its koa-session sessions in: a table of its own, as many have one. */
export class OldStore {
  constructor(private readonly pool: Pool) {}

  async createTable(): Promise<void> {
    await this.pool.query(
      `create table "oldSession" ("key" text primary key, "value" jsonb not null, "expiresAt" timestamptz)`,
    );
  }

  async get(key: string): Promise<unknown> {
    const { rows } = await this.pool.query<{ value: unknown }>(
      `select "value" from "oldSession" where "key" = $1 and "expiresAt" > now()`,
      [key],
    );
    return rows[0]?.value;
  }

  async set(key: string, value: unknown, maxAgeInMs: number | "session" = "session") {
    const keepInMs = maxAgeInMs === "session" ? 86_400_000 : maxAgeInMs;
    await this.pool.query(
      `insert into "oldSession" values ($1, $2, $3)
      on conflict ("key") do update set "value" = excluded."value", "expiresAt" = excluded."expiresAt"`,
      [key, JSON.stringify(value), new Date(Date.now() + keepInMs)],
    );
  }

  async destroy(key: string): Promise<void> {
    await this.pool.query(`delete from "oldSession" where "key" = $1`, [key]);
  }
}

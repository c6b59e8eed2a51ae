import type pg from "pg";

/** An old store on PostgreSQL: one that several processes share. */
export class PgLegacyStore {
  constructor(private readonly pool: pg.Pool) {}

  /** Call it once for a database. */
  async createTable(): Promise<void> {
    await this.pool.query(
      `create table "oldSession" ("key" text primary key, "value" json not null)`,
    );
  }

  async get(key: string): Promise<unknown> {
    const { rows } = await this.pool.query<{ value: unknown }>(
      `select "value" from "oldSession" where "key" = $1`,
      [key],
    );
    return rows[0]?.value;
  }

  async set(key: string, value: unknown): Promise<void> {
    await this.pool.query(
      `insert into "oldSession" ("key", "value") values ($1, $2::json)
      on conflict ("key") do update set "value" = excluded."value"`,
      [key, JSON.stringify(value)],
    );
  }

  async destroy(key: string): Promise<void> {
    await this.pool.query(`delete from "oldSession" where "key" = $1`, [key]);
  }
}

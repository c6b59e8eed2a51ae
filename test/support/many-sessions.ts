import type pg from "pg";

/** How many sessions there are; each has one pair of tokens, and the ids are those of bench/credentials.ts. */
export interface ManySessions {
  readonly live: number;
  /** Their tokens expired a month ago. They are the oldest rows, as in life. */
  readonly expired: number;
  /** One in so many of all was upgraded from a cookie; 0: none. */
  readonly linkedEvery: number;
}

const tables = [`"sessionStore"`, `"sessionStoreToken"`, `"sessionBridgeLink"`];

/**
 * Fills the tables of a migrated database, as fast as PostgreSQL can: keys, indexes and references are taken
 * away before and made anew after, by their own definitions. Ends with a `vacuum analyze` and a checkpoint.
 */
export async function seedManySessions(pool: pg.Pool, many: ManySessions): Promise<void> {
  const { live, expired, linkedEvery } = many;
  const total = live + expired;
  const restore = await withoutIndexes(pool);
  const id = (kind: string) => `md5('${kind}' || n)::uuid`;
  const old = (column: string) =>
    `${column} - case when n <= ${expired} then interval '60 days' else '0' end`;
  const rows = (count: number) => `from generate_series(1, ${count}) n`;
  for (const statement of [
    `insert into "sessionStore" ("id", "checksum", "data", "createdAt", "updatedAt")
      select ${id("session")}, encode(sha256(n::text::bytea), 'hex'), jsonb_build_object('userId', n, 'count', 0) || '{"name": "Ada", "roles": ["admin", "editor"]}', ${old("now()")}, ${old("now()")} ${rows(total)}`,
    `insert into "sessionStoreToken" ("id", "session", "refreshToken", "expiresAt", "createdAt")
      select case when k = 1 then ${id("refresh")} else ${id("access")} end, ${id("session")},
        case when k = 2 then ${id("refresh")} end, ${old("now() + interval '30 days'")}, ${old("now()")}
      ${rows(total)}, generate_series(1, 2) k`,
    `insert into "sessionBridgeLink" ("key", "source", "session", "bookkeeping", "memberOrder", "adoptedAt", "expiresAt", "createdAt")
      select sha256(('cookie' || n)::bytea), 'koa-session:koa.sess', ${id("session")},
        '{"_expire": 1795000000000, "_maxAge": 86400000}', '["userId", "name", "roles", "count"]',
        case when n <= ${expired} then ${old("now()")} end, ${old("now() + interval '30 days'")}, ${old("now()")} ${rows(total)} where n % nullif(${linkedEvery}, 0) = 0`,
    ...restore,
    ...tables.map((table) => `vacuum (analyze, freeze) ${table}`),
    "checkpoint",
  ]) {
    await pool.query(statement);
  }
}

/** Drops what hangs on the tables; gives the statements that make it again. */
async function withoutIndexes(pool: pg.Pool): Promise<string[]> {
  const { rows } = await pool.query<{ gone: string; again: string }>(
    `select c.contype::text as "kind", format('alter table %s drop constraint %I', c.conrelid::regclass, c.conname) as "gone",
      format('alter table %s add constraint %I %s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid)) as "again"
    from pg_constraint c where c.conrelid = any($1::regclass[]) and c.contype in ('f', 'p', 'u')
    union all
    select 'i', format('drop index %s', i.indexrelid::regclass), pg_get_indexdef(i.indexrelid)
    from pg_index i where i.indrelid = any($1::regclass[])
      and not exists (select from pg_constraint c where c.conindid = i.indexrelid and c.contype in ('p', 'u'))
    order by "kind"`,
    [tables],
  );
  // Foreign keys go first, and come last.
  for (const { gone } of rows) await pool.query(gone);
  return rows.map(({ again }) => again).reverse();
}

import type pg from "pg";
import { dataOf, idOf, lifetimeInSeconds } from "./credentials.js";
import type { Sessions } from "./variants.js";

/** connect-pg-simple's table. */
export const expressTable = "express_session";

const id = (kind: string) => `md5('${kind}' || n)::uuid`;
const data = `${quote({ ...dataOf(0), userId: undefined })}::jsonb || jsonb_build_object('userId', n)`;
const expiry = `now() + interval '${lifetimeInSeconds} seconds'`;
const maxAge = lifetimeInSeconds * 1000;

/**
 * Fills the tables of this package, which must be there, with sessions number 1 to `sessions`, each with
 * a token pair. The ids are those of credentials.ts.
 */
export async function seedTokens(pool: pg.Pool, sessions: number): Promise<void> {
  const numbers = `from generate_series(1, ${sessions}) n`;
  await inTurn(pool, [
    `insert into "sessionStore" ("id", "checksum", "data")
      select ${id("session")}, md5(n::text), ${data} ${numbers}`,
    `insert into "sessionStoreToken" ("id", "session", "expiresAt")
      select ${id("refresh")}, ${id("session")}, ${expiry} ${numbers}`,
    `insert into "sessionStoreToken" ("id", "session", "expiresAt", "refreshToken")
      select ${id("access")}, ${id("session")}, ${expiry}, ${id("refresh")} ${numbers}`,
  ]);
}

/** Makes and fills the tables of koa-session with Compas's old store and of connect-pg-simple. */
export async function seedPeers(pool: pg.Pool, sessions: number): Promise<void> {
  const numbers = `from generate_series(1, ${sessions}) n`;
  await inTurn(pool, [
    `create table "session" ("id" uuid primary key, "expires" timestamptz not null, "data" jsonb not null,
      "createdAt" timestamptz not null default now(), "updatedAt" timestamptz not null default now())`,
    `insert into "session" ("id", "expires", "data")
      select ${id("cookie")}, ${expiry}, ${data} || jsonb_build_object('_maxAge', ${maxAge},
        '_expire', (extract(epoch from ${expiry}) * 1000)::bigint) ${numbers}`,
    `create table ${expressTable} ("sid" varchar primary key, "sess" json not null, "expire" timestamp(6) not null)`,
    `insert into ${expressTable}
      select 'sid' || n, (${data} || jsonb_build_object('cookie', jsonb_build_object(
        'originalMaxAge', ${maxAge}, 'expires', ${expiry}, 'httpOnly', true, 'path', '/'
      )))::json, ${expiry} ${numbers}`,
    `create index on ${expressTable} ("expire")`,
  ]);
}

/** After seeding: as the tables of an application are that has run for a while. */
export async function settle(pool: pg.Pool): Promise<void> {
  await inTurn(pool, ["vacuum analyze", "checkpoint"]);
}

const counts: Record<Sessions, string> = {
  none: "0::bigint",
  tokens: `(select sum(("data"->>'count')::bigint) from "sessionStore")`,
  upgraded: `(select sum(("data"->>'count')::bigint) from "sessionStore")`,
  old: `(select sum(("data"->>'count')::bigint) from "session")`,
  express: `(select sum(("sess"->>'count')::bigint) from ${expressTable})`,
};

/** The sum of all sessions' counters. */
export async function sumOfCounters(pool: pg.Pool, sessions: Sessions): Promise<number> {
  const { rows } = await pool.query<{ sum: string }>(`select ${counts[sessions]} as "sum"`);
  return Number(rows[0]?.sum);
}

/** Ends session number `n` behind the back of any process; false where nothing can. */
export async function revoke(pool: pg.Pool, sessions: Sessions, n: number): Promise<boolean> {
  const statement = revocations[sessions]?.(n);
  if (statement === undefined) return false;
  const { rowCount } = await pool.query(statement);
  if (rowCount !== 1) throw new Error(`There was no session number ${n} to revoke.`);
  return true;
}

const revocations: Partial<Record<Sessions, (n: number) => { text: string; values: unknown[] }>> = {
  tokens: (n) => ({
    text: `update "sessionStore" set "revokedAt" = now() where "id" = $1`,
    values: [idOf("session", n)],
  }),
  upgraded: (n) => ({
    text: `update "sessionStore" s set "revokedAt" = now() from "sessionBridgeLink" l
      where l."session" = s."id" and s."data"->>'userId' = $1`,
    values: [String(n)],
  }),
  old: (n) => ({ text: `delete from "session" where "id" = $1`, values: [idOf("cookie", n)] }),
  express: (n) => ({ text: `delete from ${expressTable} where "sid" = $1`, values: [`sid${n}`] }),
};

/** Transactions that the database has committed, once no server of a variant is connected any more. */
export async function committedTransactions(pool: pg.Pool): Promise<number> {
  for (;;) {
    const { rows } = await pool.query<{ others: string; commits: string }>(
      `select "xact_commit" as "commits", (select count(*) from pg_stat_activity
        where "backend_type" = 'client backend' and "pid" <> pg_backend_pid()) as "others"
      from pg_stat_database where "datname" = current_database()`,
    );
    if (rows[0]?.others === "0") return Number(rows[0].commits);
  }
}

async function inTurn(pool: pg.Pool, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await pool.query(statement);
}

function quote(value: object): string {
  return `'${JSON.stringify(value).replaceAll("'", "''")}'`;
}

import { type Database, type Statement, statement } from "./database.js";

interface Page {
  deleted: number;
  /** How many blocks the table has. */
  blocks: number;
}

// The smallest rows, those of tokens, are some hundred a block.
const rowsInBlock = 100;

// $3: what expired or was revoked before goes.
const isOver = (token: string) => `(${token}."expiresAt" < $3 or ${token}."revokedAt" < $3)`;

// @compas/store makes a session first and its tokens a moment later: a young session is not yet one that
// has lost its tokens. $4 is now, $5 the adoption since which a cookie lingers.
const isForsaken = (session: string) => `${session}."updatedAt" < $3
      and not exists (select from "sessionStoreToken" t
        where t."session" = ${session}."id" and t."refreshToken" is null and not coalesce(${isOver("t")}, false))
      and (${session}."revokedAt" is not null or ${session}."createdAt" < $4::timestamptz - interval '1 hour' and not exists (
        select from "sessionBridgeLink" l where l."session" = ${session}."id"
          and (l."adoptedAt" is null or l."adoptedAt" > $5) and (l."expiresAt" is null or l."expiresAt" > $4)))`;

// Each statement walks some blocks of a table, from $1 to before $2, as they lie on the disk: it is bounded by
// the rows it looks at, and needs no index on what changes often. In the order of the keys, which are random,
// nearly every row would read, write and log a block of its own. The dry run counts by the very same condition.
function walkStatements(name: string, table: string, condition: string) {
  const page = `from "${table}" x where x.ctid >= $1::tid and x.ctid < $2::tid and ${condition}`;
  const counted = (work: string) => `with gone as (${work})
  select (select count(*) from gone)::float8 as "deleted",
    ceil(pg_relation_size('"${table}"')::float8 / current_setting('block_size')::float8) as "blocks"`;
  return {
    delete: statement<Page>(`cleanup-${name}`, counted(`delete ${page} returning 1`)),
    count: statement<Page>(`count-${name}`, counted(`select ${page}`)),
  };
}

const tokens = walkStatements(
  "tokens",
  "sessionStoreToken",
  `x."refreshToken" is null and ${isOver("x")}`,
);

const sessions = walkStatements("sessions", "sessionStore", isForsaken("x"));

// A session that goes leaves its link behind, which may go with it.
const tombstones = walkStatements(
  "tombstones",
  "sessionBridgeLink",
  `x."expiresAt" < $3 and (x."session" is null or exists (
        select from "sessionStore" s where s."id" = x."session" and ${isForsaken("s")}))`,
);

/** How many rows each table lost. */
export interface Cleaned {
  readonly refreshTokens: number;
  readonly sessions: number;
  readonly links: number;
}

/** How a clean-up goes about it. */
export interface CleanupRun {
  /** Count what would go, by the same conditions, and delete nothing. */
  readonly isDryRun: boolean;
  /** Stops it between two pages; what was deleted until then is gone. */
  readonly signal: AbortSignal;
  /** Told, and waited for, after each page, with the share of the work that is done. */
  afterPage(share: number, soFar: Cleaned): Promise<void>;
}

/**
 * Deletes refresh tokens (and with them their access tokens) that expired or were revoked before
 * `before`, then sessions without tokens, then links of ended sessions whose cookie has expired. A
 * session that a cookie still opens is kept, however old its tokens are. One round trip
 * for some `batchSize` rows of a table, or for one block of it where that holds more.
 */
export async function deleteExpired(
  db: Database,
  limits: { before: Date; batchSize: number; cookieLingerInSeconds: number },
  run?: CleanupRun,
): Promise<Cleaned> {
  const { before, batchSize, cookieLingerInSeconds } = limits;
  const now = db.now();
  const lingeringSince = new Date(now.getTime() - cookieLingerInSeconds * 1000);
  const act = run?.isDryRun === true ? "count" : "delete";
  const cleaned = { refreshTokens: 0, sessions: 0, links: 0 };
  const names = Object.keys(cleaned) as (keyof Cleaned)[];
  const blocksOfPage = Math.max(1, Math.floor(batchSize / rowsInBlock));

  async function walk(
    name: keyof Cleaned,
    table: { delete: Statement<Page>; count: Statement<Page> },
    values: unknown[],
  ): Promise<void> {
    let share = 0;
    for (let block = 0; share < 1 && run?.signal.aborted !== true; block += blocksOfPage) {
      const end = block + blocksOfPage;
      const [page] = await db.rows(table[act], [`(${block},0)`, `(${end},0)`, ...values]);
      cleaned[name] += page?.deleted ?? 0;
      share = Math.min(1, end / (page?.blocks ?? 0));
      await run?.afterPage((names.indexOf(name) + share) / names.length, cleaned);
    }
  }

  await walk("refreshTokens", tokens, [before]);
  await walk("sessions", sessions, [before, now, lingeringSince]);
  await walk("links", tombstones, [before, now, lingeringSince]);
  return cleaned;
}

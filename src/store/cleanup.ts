import { type Database, statement } from "./database.js";

const firstId: string = "00000000-0000-0000-0000-000000000000";
const firstKey: Buffer = Buffer.alloc(0);

interface Page<Cursor> {
  cursor: Cursor | null;
  deleted: string;
}

// $2: what expired or was revoked before goes.
const isOver = (token: string) => `(${token}."expiresAt" < $2 or ${token}."revokedAt" < $2)`;

// @compas/store makes a session first and its tokens a moment later: a young session is not yet one that
// has lost its tokens. $4 is now, $5 the adoption since which a cookie lingers.
const isForsaken = (session: string) => `${session}."updatedAt" < $2
      and not exists (select from "sessionStoreToken" t
        where t."session" = ${session}."id" and t."refreshToken" is null and not coalesce(${isOver("t")}, false))
      and (${session}."revokedAt" is not null or ${session}."createdAt" < $4::timestamptz - interval '1 hour' and not exists (
        select from "sessionBridgeLink" l where l."session" = ${session}."id"
          and (l."adoptedAt" is null or l."adoptedAt" > $5) and (l."expiresAt" is null or l."expiresAt" > $4)))`;

// Each statement walks one page of the primary key, so a batch is bounded by the rows it looks at and
// needs no index on what changes often. The dry run counts by the very same condition.
function walkStatements<Cursor>(name: string, table: string, key: string, condition: string) {
  const page = `select x."${key}" from "${table}" x where x."${key}" > $1 order by x."${key}" limit $3`;
  const from = (work: string) => `with page as (${page}), gone as (${work})
  select (select "${key}" from page order by "${key}" desc limit 1) as "cursor",
    (select count(*) from gone) as "deleted"`;
  return {
    delete: statement<Page<Cursor>>(
      `cleanup-${name}`,
      from(`delete from "${table}" x using page where x."${key}" = page."${key}" and ${condition}
    returning x."${key}"`),
    ),
    count: statement<Page<Cursor>>(
      `count-${name}`,
      from(`select from "${table}" x join page on x."${key}" = page."${key}" where ${condition}`),
    ),
  };
}

const tokens = walkStatements<string>(
  "tokens",
  "sessionStoreToken",
  "id",
  `x."refreshToken" is null and ${isOver("x")}`,
);

const sessions = walkStatements<string>("sessions", "sessionStore", "id", isForsaken("x"));

// A session that goes leaves its link behind, which may go with it.
const tombstones = walkStatements<Buffer>(
  "tombstones",
  "sessionBridgeLink",
  "key",
  `x."expiresAt" < $2 and (x."session" is null or exists (
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
 * for each `batchSize` rows of a table.
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

  async function walk<Cursor extends string | Buffer>(
    name: keyof Cleaned,
    start: Cursor,
    page: (cursor: Cursor) => Promise<Page<Cursor>[]>,
  ): Promise<void> {
    let cursor: Cursor | null = start;
    while (cursor !== null && run?.signal.aborted !== true) {
      const [result]: Page<Cursor>[] = await page(cursor);
      cleaned[name] += Number(result?.deleted ?? 0);
      cursor = result?.cursor ?? null;
      const share = cursor === null ? 1 : placeOf(cursor);
      await run?.afterPage((names.indexOf(name) + share) / names.length, cleaned);
    }
  }

  await walk("refreshTokens", firstId, (cursor) =>
    db.rows(tokens[act], [cursor, before, batchSize]),
  );
  const values = [before, batchSize, now, lingeringSince];
  await walk("sessions", firstId, (cursor) => db.rows(sessions[act], [cursor, ...values]));
  await walk("links", firstKey, (cursor) => db.rows(tombstones[act], [cursor, ...values]));
  return cleaned;
}

// Keys are random, so a cursor's place among all of them tells how far a walk is.
function placeOf(cursor: string | Buffer): number {
  const start = typeof cursor === "string" ? cursor.slice(0, 8) : cursor.toString("hex", 0, 4);
  return Number.parseInt(start.padEnd(8, "0"), 16) / 2 ** 32;
}

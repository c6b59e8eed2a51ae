import { StoredData } from "../commit.js";
import { coalesce } from "./coalesce.js";
import { type Database, statement } from "./database.js";
import type { LinkRow } from "./links.js";

/** A live session as read by one of its access tokens. */
export interface SessionRow {
  readonly id: string;
  readonly checksum: string;
  readonly data: StoredData;
  readonly maxAgeInSeconds: number | null;
  /** The legacy session it was upgraded from; only read by the bridge. */
  readonly link: Pick<LinkRow, "source" | "key" | "sealedKey" | "bookkeeping"> | null;
  readonly adoptedAt: Date | null;
}

/** A session as read, and until when the access token may read it: milliseconds since the epoch. */
export type ReadSession = SessionRow & { readonly tokenExpiresAt: number };

/** Reads the live session of an access token by the token's id. */
export type SessionReader = (accessTokenId: string) => Promise<ReadSession | undefined>;

interface ReadRow {
  tokenId: string;
  tokenExpiresAt: number;
  id: string;
  checksum: string;
  data: string;
  maxAgeInSeconds: number | null;
  key?: Buffer | null;
  source?: string | null;
  sealedKey?: Buffer | null;
  bookkeeping?: Record<string, unknown> | null;
  adoptedAt?: Date | null;
}

// `offset 0` fixes the order of the joins, of which there is but one to want: PostgreSQL plans them each time,
// and to weigh the others takes longer than to look up a session.
const session = `select s."id", s."checksum", s."data"::text as "data", s."maxAgeInSeconds" from "sessionStore" s
    where s."id" = t."session" and s."revokedAt" is null offset 0`;
const link = `select l."key", l."source", l."sealedKey", l."bookkeeping", l."adoptedAt" from "sessionBridgeLink" l
    where l."session" = t."session" offset 0`;

const select = (columns: string, tables: string, ids: string) => `select t."id" as "tokenId",
    extract(epoch from t."expiresAt")::float8 * 1000 as "tokenExpiresAt", ${columns}
  from "sessionStoreToken" t ${tables}
  where t."id" = ${ids} and t."refreshToken" is not null and t."revokedAt" is null and t."expiresAt" > $2`;

// A single session is planned faster by the plain comparison.
const statements = (names: { one: string; many: string }, columns: string, tables: string) => ({
  one: statement<ReadRow>(names.one, select(columns, tables, "$1::uuid")),
  many: statement<ReadRow>(names.many, select(columns, tables, "any($1::uuid[])")),
});

const plain = statements(
  { one: "read-session", many: "read-sessions" },
  "s.*",
  `cross join lateral (${session}) s`,
);
const linked = statements(
  { one: "read-linked-session", many: "read-linked-sessions" },
  "s.*, l.*",
  `cross join lateral (${session}) s left join lateral (${link}) l on true`,
);

/**
 * Reads the live session of an access token by the token's id. One round trip, shared by all requests
 * of one turn of the event loop. `withLinks` also reads what each session was upgraded from.
 */
export function sessionReader(db: Database, { withLinks }: { withLinks: boolean }): SessionReader {
  const read = withLinks ? linked : plain;
  return coalesce(async (ids) => {
    const rows =
      ids.length === 1
        ? await db.rows(read.one, [ids[0], db.now()])
        : await db.rows(read.many, [ids, db.now()]);
    return new Map(rows.map((row) => [row.tokenId, toSession(row)]));
  });
}

function toSession(row: ReadRow): ReadSession {
  const { id, checksum, maxAgeInSeconds, tokenExpiresAt, key, source } = row;
  const data = new StoredData(row.data);
  const link =
    key && source
      ? { key, source, sealedKey: row.sealedKey ?? null, bookkeeping: row.bookkeeping ?? {} }
      : null;
  const adoptedAt = row.adoptedAt ?? null;
  return { id, checksum, data, maxAgeInSeconds, link, adoptedAt, tokenExpiresAt };
}

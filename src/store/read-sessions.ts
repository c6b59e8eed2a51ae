import { coalesce } from "./coalesce.js";
import { type Database, statement } from "./database.js";
import type { LinkRow } from "./links.js";

/** A live session as read by one of its access tokens. */
export interface SessionRow {
  readonly id: string;
  readonly checksum: string;
  /** JSON text, parsed only when somebody looks at the session. */
  readonly data: string;
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

const live = `t."refreshToken" is not null and t."revokedAt" is null
    and t."expiresAt" > $2 and s."revokedAt" is null`;

const columns = `t."id" as "tokenId", extract(epoch from t."expiresAt")::float8 * 1000 as "tokenExpiresAt", s."id", s."checksum", s."data"::text as "data", s."maxAgeInSeconds"`;

const select = `select ${columns}
  from "sessionStoreToken" t join "sessionStore" s on s."id" = t."session"`;

const selectLinked = `select ${columns}, l."key", l."source", l."sealedKey", l."bookkeeping", l."adoptedAt"
  from "sessionStoreToken" t join "sessionStore" s on s."id" = t."session"
  left join "sessionBridgeLink" l on l."session" = s."id"`;

// For a single session PostgreSQL plans the plain comparison faster.
const one = `where t."id" = $1::uuid and ${live}`;
const many = `where t."id" = any($1::uuid[]) and ${live}`;

const plain = {
  one: statement<ReadRow>("read-session", `${select}\n  ${one}`),
  many: statement<ReadRow>("read-sessions", `${select}\n  ${many}`),
};
const linked = {
  one: statement<ReadRow>("read-linked-session", `${selectLinked}\n  ${one}`),
  many: statement<ReadRow>("read-linked-sessions", `${selectLinked}\n  ${many}`),
};

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
  const { id, checksum, data, maxAgeInSeconds, tokenExpiresAt, key, source } = row;
  const link =
    key && source
      ? { key, source, sealedKey: row.sealedKey ?? null, bookkeeping: row.bookkeeping ?? {} }
      : null;
  const adoptedAt = row.adoptedAt ?? null;
  return { id, checksum, data, maxAgeInSeconds, link, adoptedAt, tokenExpiresAt };
}

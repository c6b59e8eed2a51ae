import { coalesce } from "./coalesce.js";
import { cookieEnd, holdOffer } from "./cookie-hold.js";
import { type Database, statement } from "./database.js";
import type { CommittedSession, LinkUpdate } from "./update-session.js";
import type { PairRecord } from "./token-pair.js";
import type { Upgrade } from "./upgrade-sessions.js";

export type Bookkeeping = Record<string, unknown>;

/** A link as stored; the key is SHA-256 of source name and legacy key. */
export interface LinkRow {
  readonly key: Buffer;
  readonly source: string;
  readonly sealedKey: Buffer | null;
  readonly bookkeeping: Bookkeeping;
}

/** What a legacy key is tied to. */
export type Link = LiveLink | "ended";

export interface LiveLink {
  readonly sessionId: string;
  /** The version of `data`. */
  readonly checksum: string;
  readonly data: string;
  readonly bookkeeping: Bookkeeping;
  readonly memberOrder: unknown;
  readonly offer: PairRecord | null;
  readonly adoptedAt: Date | null;
}

export interface ReadRow {
  key: Buffer;
  sessionId: string | null;
  checksum: string | null;
  data: string | null;
  bookkeeping: Bookkeeping | null;
  memberOrder: unknown;
  offer: PairRecord | null;
  adoptedAt: Date | null;
  live: boolean;
}

// Whoever refreshes a token beside the bridge (@compas/store, a session store of its own) knows nothing of
// links: an offered token that has been rotated was adopted, and to offer it again would look like theft.
const rotatedElsewhere = `(select t."revokedAt" from "sessionStoreToken" t
      where t."id" = (l."offer"->>'refreshToken')::uuid)`;

/** The columns of a {@link ReadRow} but the key, of a link `l` and its session `s`. */
export const linkColumns = `s."id" as "sessionId", s."checksum", s."data"::text as "data", l."bookkeeping",
    l."memberOrder", case when ${rotatedElsewhere} is null then l."offer" end as "offer",
    coalesce(l."adoptedAt", ${rotatedElsewhere}) as "adoptedAt",
    s."id" is not null and s."revokedAt" is null as "live"`;

const readLinks = statement<ReadRow>(
  "read-links",
  `select l."key", ${linkColumns}
  from "sessionBridgeLink" l left join "sessionStore" s on s."id" = l."session"
  where l."key" = any($1::bytea[])`,
);

const insertTombstone = statement<{ key: Buffer }>(
  "insert-tombstone",
  `insert into "sessionBridgeLink" ("key", "source", "session", "expiresAt", "createdAt", "origin")
  values ($1, $2, null, $3, $4, $5)
  on conflict ("key") do nothing
  returning "key"`,
);

const setBookkeeping = statement<CommittedSession>(
  "set-bookkeeping",
  `with link as (
    update "sessionBridgeLink" l set "bookkeeping" = $2::jsonb, "expiresAt" = $3, "memberOrder" = $4::jsonb
    from "sessionStore" s
    where l."key" = $1 and s."id" = l."session" and s."revokedAt" is null
    returning l."offer", s."checksum", s."data"
  ), held as (
    ${holdOffer(cookieEnd("$3", "$5"))}
  )
  select "checksum" as "previous", "checksum", "data"::text as "data" from link`,
);

const adopt = statement<{ source: string }>(
  "adopt",
  `update "sessionBridgeLink" set "adoptedAt" = $2, "offer" = null
  where "session" = $1 and "adoptedAt" is null
  returning "source"`,
);

// Extends the pair in place: the rows and ids stay, so a never adopted session gathers no token rows. Rows
// that have been cleaned up while the cookie was not used come back under new ids: a token that somebody
// rotated long ago must not come alive with them. Of two renewals the first decides and the second gives
// the same pair.
const renew = statement<{ offer: PairRecord }>(
  "renew-offer",
  `with link as (
    update "sessionBridgeLink" set "offer" = case
      when ("offer"->>'accessTokenExpiresAt')::bigint > $2::bigint then "offer"
      when exists (select from "sessionStoreToken" t where t."id" = ("offer"->>'refreshToken')::uuid) then $3::jsonb
      else $3::jsonb || jsonb_build_object('accessToken', $5::text, 'refreshToken', $6::text) end
    where "key" = $1 and "adoptedAt" is null and "offer" is not null
    returning "session", "offer", "expiresAt"
  ), tokens as (
    insert into "sessionStoreToken" ("id", "session", "expiresAt", "refreshToken", "createdAt")
    select (link."offer"->>v."token")::uuid, link."session",
      greatest(to_timestamp((link."offer"->>v."expiry")::bigint),
        case when v."parent" is null then ${cookieEnd('link."expiresAt"', "$4")} end),
      (link."offer"->>v."parent")::uuid, $4
    from link, (values
      ('refreshToken', 'refreshTokenExpiresAt', null), ('accessToken', 'accessTokenExpiresAt', 'refreshToken')
    ) v ("token", "expiry", "parent")
    on conflict ("id") do update set "expiresAt" = excluded."expiresAt"
  )
  select "offer" from link`,
);

/** Reads links by key (base64url). One round trip, shared by all requests of one turn of the loop. */
export function linkReader(db: Database): (key: string) => Promise<Link | undefined> {
  return coalesce(async (keys) => {
    const rows = await db.rows(readLinks, [keys.map((key) => Buffer.from(key, "base64url"))]);
    return new Map(rows.map((row) => [row.key.toString("base64url"), toLink(row)]));
  });
}

const readEndedOrigins = statement<{ origin: Buffer }>(
  "read-ended-origins",
  `select distinct l."origin"
  from "sessionBridgeLink" l left join "sessionStore" s on s."id" = l."session"
  where l."origin" = any($1::bytea[]) and (s."id" is null or s."revokedAt" is not null)`,
);

/**
 * Whether a data cookie without a key (by its hash, base64url) has ended under the key that it was
 * given. One round trip, shared like the look-ups of links.
 */
export function endedOriginReader(db: Database): (origin: string) => Promise<true | undefined> {
  return coalesce(async (origins) => {
    const rows = await db.rows(readEndedOrigins, [
      origins.map((origin) => Buffer.from(origin, "base64url")),
    ]);
    return new Map(rows.map(({ origin }) => [origin.toString("base64url"), true as const]));
  });
}

export function toLink(row: Omit<ReadRow, "key">): Link {
  const { sessionId, checksum, data, bookkeeping, memberOrder, offer, adoptedAt } = row;
  if (!row.live || sessionId === null || checksum === null || data === null) return "ended";
  const kept = { bookkeeping: bookkeeping ?? {}, memberOrder };
  return { sessionId, checksum, data, ...kept, offer, adoptedAt };
}

/**
 * Notes that an unlinked legacy session has ended, so that no racing request upgrades it. False when
 * the key was linked in the meantime. One round trip. It may be cleaned up after `expiresAt`.
 */
export async function endLegacyKey(
  db: Database,
  { key, source, origin, expiresAt }: Pick<Upgrade, "key" | "source" | "origin" | "expiresAt">,
): Promise<boolean> {
  const rows = await db.rows(insertTombstone, [key, source, expiresAt, db.now(), origin]);
  return rows.length > 0;
}

/** Gives the live session that the link opens; undefined when it has ended. One round trip. */
export async function saveBookkeeping(
  db: Database,
  link: LinkUpdate,
): Promise<CommittedSession | undefined> {
  const { key, bookkeeping, expiresAt, memberOrder } = link;
  const order = JSON.stringify(memberOrder);
  const values = [key, JSON.stringify(bookkeeping), expiresAt, order, db.now()];
  const [row] = await db.rows(setBookkeeping, values);
  return row;
}

const readLinkOfSession = statement<LinkRow>(
  "read-link-of-session",
  `select "key", "source", "sealedKey", coalesce("bookkeeping", '{}') as "bookkeeping"
  from "sessionBridgeLink" where "session" = $1`,
);

/** What a session was upgraded from, if anything. One round trip. */
export async function linkOfSession(db: Database, sessionId: string): Promise<LinkRow | undefined> {
  const [row] = await db.rows(readLinkOfSession, [sessionId]);
  return row;
}

/** Notes the first use of a token; true for the one call that was first. One round trip. */
export async function adoptSession(db: Database, sessionId: string): Promise<boolean> {
  const rows = await db.change(sessionId, adopt, [sessionId, db.now()]);
  return rows.length > 0;
}

/**
 * Replaces an offer whose access token expires before `staleAt` (seconds since the epoch) by `pair`,
 * which keeps the same token ids while their rows exist. Gives the pair now on offer; undefined when it has been adopted.
 * One round trip.
 */
export async function renewOffer(
  db: Database,
  key: Buffer,
  staleAt: number,
  pair: PairRecord,
): Promise<PairRecord | undefined> {
  const spareIds = [db.generateId(), db.generateId()];
  const values = [key, staleAt, JSON.stringify(pair), db.now(), ...spareIds];
  const [row] = await db.rows(renew, values);
  return row?.offer;
}

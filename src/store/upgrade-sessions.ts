import type { Changes } from "../commit.js";
import { cookieEnd, holdOffer } from "./cookie-hold.js";
import { checksumOf } from "./create-session.js";
import { type Database, statement } from "./database.js";
import type { LinkUpdate } from "./update-session.js";
import type { PairRecord } from "./token-pair.js";

/** What becomes the token session, the link and the pair of one legacy session. */
export interface Upgrade {
  /** SHA-256 of source name and legacy key. */
  readonly key: Buffer;
  readonly source: string;
  readonly sealedKey: Buffer | null;
  readonly origin: Buffer | undefined;
  readonly bookkeeping: Record<string, unknown>;
  readonly memberOrder: unknown;
  readonly expiresAt: Date | null;
  readonly sessionId: string;
  readonly data: string;
  readonly maxAgeInSeconds: number | null;
  readonly pair: PairRecord;
}

interface UpgradedRow {
  id: string;
  checksum: string;
}

// In the order of the keys, so that two statements with some of the same keys wait for one another and
// never both.
const upgradeText = (condition = "") => `with given as (
    select g.* from unnest($1::bytea[], $2::varchar[], $3::uuid[], $4::bytea[], $5::text[], $6::text[],
      $7::timestamptz[], $9::text[], $10::integer[], $11::bytea[], $12::text[])
      as g ("key", "source", "session", "sealedKey", "bookkeeping", "offer", "expiresAt", "data",
        "maxAgeInSeconds", "origin", "memberOrder")${condition}
  ), link as (
    insert into "sessionBridgeLink"
      ("key", "source", "session", "sealedKey", "bookkeeping", "offer", "expiresAt", "createdAt", "origin", "memberOrder")
    select g."key", g."source", g."session", g."sealedKey", g."bookkeeping"::jsonb, g."offer"::jsonb,
      g."expiresAt", $8::timestamptz, g."origin", g."memberOrder"::jsonb
    from given g order by g."key"
    on conflict ("key") do nothing
    returning "session", "offer", "expiresAt"
  ), tokens as (
    insert into "sessionStoreToken" ("id", "session", "expiresAt", "refreshToken", "createdAt")
    select (link."offer"->>v."token")::uuid, link."session",
      greatest(to_timestamp((link."offer"->>v."expiry")::bigint),
        case when v."parent" is null then ${cookieEnd('link."expiresAt"', "$8")} end),
      (link."offer"->>v."parent")::uuid, $8
    from link, (values
      ('refreshToken', 'refreshTokenExpiresAt', null), ('accessToken', 'accessTokenExpiresAt', 'refreshToken')
    ) v ("token", "expiry", "parent")
  )
  insert into "sessionStore" ("id", "checksum", "data", "maxAgeInSeconds", "createdAt", "updatedAt")
  select g."session", ${checksumOf('g."data"::jsonb')}, g."data"::jsonb, g."maxAgeInSeconds", $8, $8
  from link join given g on g."session" = link."session"
  returning "id", "checksum"`;

const insertUpgrades = statement<UpgradedRow>("upgrade", upgradeText());

/**
 * Creates the token sessions, the links and the pairs of legacy sessions: exactly once per key. Gives the
 * version of the data of each session made, by its id; those are missing whose key is linked already, or
 * has ended. One round trip; all or none when it fails.
 */
export async function upgradeSessions(
  db: Database,
  upgrades: readonly Upgrade[],
): Promise<Map<string, string>> {
  const rows = await db.rows(insertUpgrades, valuesOf(db, upgrades));
  return new Map(rows.map(({ id, checksum }) => [id, checksum]));
}

function valuesOf(db: Database, upgrades: readonly Upgrade[]): unknown[] {
  const each = <Value>(of: (upgrade: Upgrade) => Value) => upgrades.map(of);
  return [
    each(({ key }) => key),
    each(({ source }) => source),
    each(({ sessionId }) => sessionId),
    each(({ sealedKey }) => sealedKey),
    each(({ bookkeeping }) => JSON.stringify(bookkeeping)),
    each(({ pair }) => JSON.stringify(pair)),
    each(({ expiresAt }) => expiresAt),
    db.now(),
    each(({ data }) => data),
    each(({ maxAgeInSeconds }) => maxAgeInSeconds),
    each(({ origin }) => origin ?? null),
    each(({ memberOrder }) => JSON.stringify(memberOrder)),
  ];
}

/** The same for one session; undefined when its key is linked already, or has ended. */
export async function upgradeSession(db: Database, upgrade: Upgrade): Promise<string | undefined> {
  return (await upgradeSessions(db, [upgrade])).get(upgrade.sessionId);
}

/** What was read of a session's row in a table beside the bridge's own. */
export interface RowRead {
  readonly id: string;
  readonly value: string;
}

/**
 * The same, if the row is still there with that very value, has not expired, and the key is not linked. One
 * round trip.
 *
 * @param row joins it: the table `o`, given its id, its value and the time
 */
export function unchangedUpgrader(
  db: Database,
  row: (id: string, value: string, now: string) => string,
): (upgrade: Upgrade, read: RowRead) => Promise<string | undefined> {
  const insert = statement<UpgradedRow>(
    "upgrade-unchanged",
    upgradeText(`\n      join ${row("$13", "$14", "$15")}`),
  );
  return async (upgrade, { id, value }) => {
    const values = [...valuesOf(db, [upgrade]), id, value, new Date()];
    const [made] = await db.rows(insert, values);
    return made?.checksum;
  };
}

const readLinked = statement<{ key: Buffer }>(
  "read-linked-keys",
  `select "key" from "sessionBridgeLink" where "key" = any($1::bytea[])`,
);

/** Which of the keys have been linked, or have ended. As base64url. One round trip. */
export async function readLinkedKeys(db: Database, keys: readonly Buffer[]): Promise<Set<string>> {
  const rows = await db.rows(readLinked, [keys]);
  return new Set(rows.map(({ key }) => key.toString("base64url")));
}

/** A session's data, and what changes with each write of its row, also with one that puts it back. */
export interface WrittenSession {
  readonly id: string;
  readonly written: string;
  readonly data: string;
}

const readWritten = statement<WrittenSession>(
  "read-written-session",
  `select "id", "xmin"::text as "written", "data"::text as "data" from "sessionStore"
  where "id" = $1 and "revokedAt" is null`,
);

/** Undefined when the session has ended. One round trip. */
export async function readWrittenSession(
  db: Database,
  sessionId: string,
): Promise<WrittenSession | undefined> {
  const [row] = await db.rows(readWritten, [sessionId]);
  return row;
}

// What is kept beside the data is only replaced while it is what the upgrade has put there.
const mergeMissed = statement<{ checksum: string }>(
  "merge-missed-changes",
  `with before as (
    select "id" from "sessionStore"
    where "id" = $1 and "xmin"::text = $2 and "revokedAt" is null for update
  ), link as (
    update "sessionBridgeLink" l set "bookkeeping" = $6::jsonb, "expiresAt" = $7, "memberOrder" = $8::jsonb
    from before where l."session" = before."id" and l."key" = $9 and l."bookkeeping" = $10::jsonb
    returning l."offer"
  ), held as (
    ${holdOffer(cookieEnd("$7", "$5"))}
  )
  update "sessionStore" s
  set ("data", "checksum") = (select m."data", ${checksumOf('m."data"')}
      from (select s."data" - $3::text[] || $4::jsonb as "data") m),
    "maxAgeInSeconds" = case when $11::boolean then $12::integer else s."maxAgeInSeconds" end,
    "updatedAt" = $5
  from before where s."id" = before."id"
  returning s."checksum"`,
);

/**
 * Merges changes that the old store got before its session was upgraded, if nobody has committed to the
 * session since it was read; false when somebody has, or it has ended. One round trip.
 */
export async function mergeMissedChanges(
  db: Database,
  session: WrittenSession,
  { removed, set, maxAgeInSeconds }: Changes,
  { key, expiresAt, memberOrder, bookkeeping }: LinkUpdate,
  bookkeepingSeen: Record<string, unknown>,
): Promise<boolean> {
  const rows = await db.change(session.id, mergeMissed, [
    session.id,
    session.written,
    removed,
    JSON.stringify(set),
    db.now(),
    JSON.stringify(bookkeeping),
    expiresAt,
    JSON.stringify(memberOrder),
    key,
    JSON.stringify(bookkeepingSeen),
    maxAgeInSeconds !== undefined,
    maxAgeInSeconds ?? null,
  ]);
  return rows.length > 0;
}

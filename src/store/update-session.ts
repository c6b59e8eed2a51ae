import type { Changes, SessionData } from "../commit.js";
import { cookieEnd, holdOffer } from "./cookie-hold.js";
import { checksumOf } from "./create-session.js";
import { type Database, statement } from "./database.js";

/** A session's data after a commit; it holds the changes of everybody who committed before. */
export interface CommittedSession {
  /** The version that the commit found. */
  readonly previous: string;
  readonly checksum: string;
  readonly data: string;
}

const merged = `(case jsonb_typeof(s."data") when 'object' then s."data" else '{}' end - $2::text[]) || $3::jsonb`;

const mergeChanges = statement<CommittedSession>(
  "merge-changes",
  `update "sessionStore" s
  set ("data", "checksum") = (select m."data", ${checksumOf('m."data"')} from (select ${merged} as "data") m),
    "maxAgeInSeconds" = case when $4::boolean then $5::integer else s."maxAgeInSeconds" end,
    "updatedAt" = $6
  from (
    select "id", "checksum" from "sessionStore" where "id" = $1 and "revokedAt" is null for update
  ) before
  where s."id" = before."id" and s."revokedAt" is null
  returning before."checksum" as "previous", s."checksum", s."data"::text as "data"`,
);

// The same, and in the same round trip what the old middleware keeps beside the data.
const mergeLinkedChanges = statement<CommittedSession>(
  "merge-linked-changes",
  `with link as (
    update "sessionBridgeLink" set "bookkeeping" = $7::jsonb, "expiresAt" = $8, "memberOrder" = $10::jsonb
    where "key" = $9
    returning "offer"
  ), held as (
    ${holdOffer(cookieEnd("$8", "$6"))}
  ) ${mergeChanges.text}`,
);

const replaceData = statement<{ checksum: string; data: string }>(
  "replace-data",
  `update "sessionStore" s
  set "data" = $3::jsonb, "checksum" = ${checksumOf("$3::jsonb")}, "updatedAt" = $4
  where s."id" = $1 and s."checksum" = $2 and s."revokedAt" is null
  returning s."checksum", s."data"::text as "data"`,
);

const readCurrent = statement<{ checksum: string; data: string }>(
  "read-current",
  `select "checksum", "data"::text as "data" from "sessionStore" where "id" = $1 and "revokedAt" is null`,
);

const touchVersion = statement<{ id: string }>(
  "touch-version",
  `update "sessionStore" set "checksum" = "checksum" || '+'
  where "id" = $1 and "checksum" = $2 and "revokedAt" is null
  returning "id"`,
);

/**
 * Gives unchanged data another version, so that a commit which loaded the old one learns that something
 * happened meanwhile. False when the version has moved on, or the session has ended. One round trip.
 */
export async function touchSession(
  db: Database,
  sessionId: string,
  checksum: string,
): Promise<boolean> {
  const rows = await db.rows(touchVersion, [sessionId, checksum]);
  return rows.length > 0;
}

/** What a commit by cookie keeps with the link. */
export interface LinkUpdate {
  readonly key: Buffer;
  readonly bookkeeping: SessionData;
  readonly memberOrder: unknown;
  readonly expiresAt: Date | null;
}

/**
 * Commits changes to a live session; undefined when it has ended. One round trip: the row lock orders
 * concurrent commits, and each merges its changed members into the data of the one before, so the
 * three-way merge needs no retry; `link` saves its bookkeeping along with it. A commit that waited behind a logout finds the session revoked.
 */
export async function commitChanges(
  db: Database,
  sessionId: string,
  changes: Changes,
  link?: LinkUpdate,
): Promise<CommittedSession | undefined> {
  const { removed, set, maxAgeInSeconds } = changes;
  const values = [
    sessionId,
    removed,
    JSON.stringify(set),
    maxAgeInSeconds !== undefined,
    maxAgeInSeconds ?? null,
    db.now(),
  ];
  const [row] =
    link === undefined
      ? await db.rows(mergeChanges, values)
      : await db.rows(mergeLinkedChanges, [
          ...values,
          JSON.stringify(link.bookkeeping),
          link.expiresAt,
          link.key,
          JSON.stringify(link.memberOrder),
        ]);
  return row;
}

/**
 * Replaces the whole data if its version is still `checksum`. One round trip, one more to tell a
 * conflict from a session that has ended.
 */
export async function replaceSession(
  db: Database,
  session: { id: string; checksum: string; data: string },
): Promise<{ checksum: string; data: string } | "conflict" | "ended"> {
  const [row] = await db.rows(replaceData, [session.id, session.checksum, session.data, db.now()]);
  if (row !== undefined) return row;
  return (await readSession(db, session.id)) === undefined ? "ended" : "conflict";
}

/** The live session as it is now. One round trip. */
export async function readSession(
  db: Database,
  sessionId: string,
): Promise<{ checksum: string; data: string } | undefined> {
  const [row] = await db.rows(readCurrent, [sessionId]);
  return row;
}

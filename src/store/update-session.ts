import type { Changes, SessionData } from "../commit.js";
import { inBatches } from "./coalesce.js";
import { cookieEnd, holdOffer } from "./cookie-hold.js";
import { checksumOf } from "./create-session.js";
import { type Database, isRefusal, statement } from "./database.js";

/** A session's data after a commit; it holds the changes of everybody who committed before. */
export interface CommittedSession {
  /** The version that the commit found. */
  readonly previous: string;
  readonly checksum: string;
  readonly data: string;
}

const merge = (removed: string, set: string) =>
  `("data", "checksum") = (select m."data", ${checksumOf('m."data"')} from (
    select (case jsonb_typeof(s."data") when 'object' then s."data" else '{}' end - ${removed}) || ${set} as "data"
  ) m)`;

const mergeChanges = statement<CommittedSession>(
  "merge-changes",
  `update "sessionStore" s
  set ${merge("$2::text[]", "$3::jsonb")},
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

// The same for several sessions. All lock their rows in one order, so that no two wait for each other.
const mergeChangesOfMany = statement<CommittedSession & { id: string }>(
  "merge-changes-of-many",
  `with change as (
    select * from unnest($1::uuid[], $2::jsonb[], $3::jsonb[], $4::boolean[], $5::integer[])
      as c ("id", "removed", "set", "setsMaxAge", "maxAgeInSeconds")
  ), before as (
    select s."id", s."checksum" from change c join "sessionStore" s on s."id" = c."id"
    where s."revokedAt" is null order by s."id" for update of s
  )
  update "sessionStore" s
  set ${merge('array(select jsonb_array_elements_text(c."removed"))', 'c."set"')},
    "maxAgeInSeconds" = case when c."setsMaxAge" then c."maxAgeInSeconds" else s."maxAgeInSeconds" end,
    "updatedAt" = $6
  from before join change c on c."id" = before."id"
  where s."id" = before."id" and s."revokedAt" is null
  returning s."id", before."checksum" as "previous", s."checksum", s."data"::text as "data"`,
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
  const rows = await db.change(sessionId, touchVersion, [sessionId, checksum]);
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
  const change = asChange(sessionId, changes);
  if (link === undefined) return mergeOne(db, change);
  const [row] = await db.change(sessionId, mergeLinkedChanges, [
    ...Object.values(change),
    db.now(),
    JSON.stringify(link.bookkeeping),
    link.expiresAt,
    link.key,
    JSON.stringify(link.memberOrder),
  ]);
  return row;
}

async function mergeOne(
  db: Database,
  change: ReturnType<typeof asChange>,
): Promise<CommittedSession | undefined> {
  const values = [...Object.values(change), db.now()];
  const [row] = await db.change(change.id, mergeChanges, values);
  return row;
}

// In the order of the parameters; serialised at once, so that whoever goes on to change the data does not change
// what is committed.
const asChange = (id: string, { removed, set, maxAgeInSeconds }: Changes) => ({
  id,
  removed,
  set: JSON.stringify(set),
  setsMaxAge: maxAgeInSeconds !== undefined,
  maxAgeInSeconds: maxAgeInSeconds ?? null,
});

/**
 * {@link commitChanges} for requests: what changes within one turn of the event loop is committed by one
 * statement, each session merged by itself. Commits to one session come in the order of the calls.
 */
export function sessionCommitter(
  db: Database,
): (sessionId: string, changes: Changes) => Promise<CommittedSession | undefined> {
  const underway = new Map<string, Promise<unknown>>();

  const commit = inBatches(async (commits: ReturnType<typeof asChange>[]) => {
    const alone = () => commits.map((change) => mergeOne(db, change));
    if (commits.length === 1) return alone();
    try {
      const ids = commits.map(({ id }) => id);
      const rows = await db.change(ids, mergeChangesOfMany, [
        ids,
        commits.map(({ removed }) => JSON.stringify(removed)),
        commits.map(({ set }) => set),
        commits.map(({ setsMaxAge }) => setsMaxAge),
        commits.map(({ maxAgeInSeconds }) => maxAgeInSeconds),
        db.now(),
      ]);
      const committed = new Map(rows.map((row) => [row.id, row]));
      return ids.map((id) => committed.get(id));
    } catch (error) {
      if (!isRefusal(error)) throw error;
      // Nothing was committed. What one session holds must not cost the others their commit.
      return alone();
    }
  });

  return async (id, changes) => {
    const change = asChange(id, changes);
    const earlier = underway.get(id);
    const begin = () => commit(change);
    const committed = earlier === undefined ? begin() : earlier.then(begin, begin);
    underway.set(id, committed);
    try {
      return await committed;
    } finally {
      if (underway.get(id) === committed) underway.delete(id);
    }
  };
}

/**
 * Replaces the whole data if its version is still `checksum`. One round trip, one more to tell a
 * conflict from a session that has ended.
 */
export async function replaceSession(
  db: Database,
  session: { id: string; checksum: string; data: string },
): Promise<{ checksum: string; data: string } | "conflict" | "ended"> {
  const values = [session.id, session.checksum, session.data, db.now()];
  const [row] = await db.change(session.id, replaceData, values);
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

import { parseData, type SessionData } from "../commit.js";
import { BridgeError } from "../errors.js";
import type { Mode } from "../mode.js";
import { type Bookkeeping, endLegacyKey, type LiveLink } from "../store/links.js";
import { withDeadline } from "../deadline.js";
import type { LegacyEnvironment } from "./environment.js";
import { inMemberOrder, type MemberOrder } from "./member-order.js";
import type { LegacySource } from "./source.js";
import type { LegacyIdentity } from "./upgrade.js";

/** `unknown`: the token store does not answer, and in `observe` the old store goes on alone. */
export type LinkState = "unlinked" | "unknown" | "ended" | LiveLink;

const observeDeadlineInMilliseconds = 1000;
// How long a request may still be under way that read an unlinked session before it ended.
const tombstoneInSeconds = 24 * 60 * 60;

export interface Found {
  readonly state: LinkState;
  /** What the old store holds, when the look-up has read it as well. */
  readonly oldRow?: OldRow;
}

/** What the old store holds under a key; `json` as the look-up of the link has read it. */
export interface OldRow {
  readonly value: unknown;
  readonly json?: string | undefined;
}

/** Looks up what a legacy key is linked to. One statement. */
export async function findLink(
  env: LegacyEnvironment,
  mode: Mode,
  identity: LegacyIdentity,
): Promise<Found> {
  const found = readLink(env, identity);
  if (mode !== "observe") return found;
  try {
    return await inTime(found);
  } catch (error) {
    env.events.emit("error", error as Error);
    return { state: "unknown" };
  }
}

async function readLink(
  env: LegacyEnvironment,
  { source, legacyKey, hash }: LegacyIdentity,
): Promise<Found> {
  const { key, origin, isMinted } = legacyKey;
  const readLinkAndRow = env.readLinkAndRow.get(source.name);
  if (readLinkAndRow !== undefined) {
    const found = await readLinkAndRow(hash.toString("base64url"), key);
    return { state: found?.link ?? "unlinked", oldRow: rowOf(found?.oldValue ?? undefined) };
  }
  // Nothing can be linked to a key that was just made.
  const link = isMinted === true ? undefined : await env.readLink(hash.toString("base64url"));
  if (link !== undefined || origin === undefined) return { state: link ?? "unlinked" };
  // The cookie that the key was made for may have ended under another key.
  const hasEnded = await env.hasEndedOrigin(origin.toString("base64url"));
  return { state: hasEnded ? "ended" : "unlinked" };
}

// Of a linked session hardly anybody asks for it.
const rowOf = (json: string | undefined): OldRow => ({
  json,
  get value() {
    return json === undefined ? undefined : (JSON.parse(json) as unknown);
  },
});

/** What the session holds, in the order in which the old middleware stored it. */
export const linkedData = ({ data, memberOrder }: LiveLink): SessionData =>
  inMemberOrder(parseData(data), memberOrder as MemberOrder);

/** The session's client uses tokens, and has for longer than the cookie may linger. */
export function isRetired(env: LegacyEnvironment, { adoptedAt }: LiveLink): boolean {
  if (adoptedAt === null) return false;
  const lingersUntil = adoptedAt.getTime() + env.cookieLingerInSeconds * 1000;
  return lingersUntil <= env.store.db.now().getTime();
}

/** The cookie session's time is over, where the bridge alone would notice. */
export function isOver(source: LegacySource, { bookkeeping }: LiveLink): boolean {
  if (source.isExpiredByStore !== true) return false;
  const expiresAt = source.expiresAt(bookkeeping);
  return expiresAt !== null && expiresAt.getTime() <= Date.now();
}

/** In `observe` the cookie must not wait for a token store that hangs. */
const inTime = <Value>(work: Promise<Value>): Promise<Value> =>
  withDeadline(work, observeDeadlineInMilliseconds).catch((cause: unknown) => {
    throw cause instanceof BridgeError ? cause : new BridgeError("store-unavailable", { cause });
  });

/**
 * Notes that an unlinked session has ended, so that no other request upgrades it, in whatever mode that
 * is served. False when it has been linked in the meantime. One statement.
 */
export async function noteEnd(
  env: LegacyEnvironment,
  mode: Mode,
  { source, legacyKey, hash }: LegacyIdentity,
  bookkeeping: Bookkeeping,
): Promise<boolean> {
  // A data cookie without a key: in `observe` it behaves as it always did, without an origin as well.
  const hasOrigin = legacyKey.origin !== undefined;
  if (legacyKey.isMinted === true && (mode === "observe" || !hasOrigin)) return true;
  const { db } = env.store;
  const tombstone = {
    key: hash,
    source: source.name,
    origin: legacyKey.origin,
    expiresAt:
      source.oldStore === undefined
        ? (source.expiresAt(bookkeeping) ?? legacyKey.expiresAt ?? null)
        : new Date(db.now().getTime() + tombstoneInSeconds * 1000),
  };
  try {
    const noted = endLegacyKey(db, tombstone);
    return await (mode === "observe" ? inTime(noted) : noted);
  } catch (error) {
    if (mode !== "observe") throw error;
    env.events.emit("error", error as Error);
    return true;
  }
}

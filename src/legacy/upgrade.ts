import { parseData } from "../commit.js";
import { type LiveLink, renewOffer } from "../store/links.js";
import type { PairRecord } from "../store/token-pair.js";
import { type Upgrade, upgradeSession } from "../store/upgrade-sessions.js";
import type { LegacyEnvironment } from "./environment.js";
import { memberOrderOf } from "./member-order.js";
import { sealLegacyKey } from "./sealed-key.js";
import type { LegacyKey, LegacySource, LegacyValue } from "./source.js";

/** A legacy session as the upgrade sees it; `hash` is its link's key. */
export interface LegacyIdentity {
  readonly source: LegacySource;
  readonly legacyKey: LegacyKey;
  readonly hash: Buffer;
}

/**
 * Makes the token session of a legacy session, under an id of its own. Undefined when the key is linked
 * already or has ended: somebody was faster. Given what was read of its row in a table beside the bridge's
 * own, also when that has changed since. One statement.
 */
export async function upgradeLegacySession(
  env: LegacyEnvironment,
  identity: LegacyIdentity,
  value: LegacyValue,
  rowRead?: string,
): Promise<LiveLink | undefined> {
  const { source, legacyKey } = identity;
  const upgrade = await prepareUpgrade(env, identity, value);
  const upgradeUnchanged = env.upgradeUnchanged.get(source.name);
  const checksum =
    rowRead === undefined || upgradeUnchanged === undefined
      ? await upgradeSession(env.store.db, upgrade)
      : await upgradeUnchanged(upgrade, { id: legacyKey.key, value: rowRead });
  if (checksum === undefined) return undefined;
  const { sessionId, data, bookkeeping, memberOrder, pair } = upgrade;
  return { sessionId, checksum, data, bookkeeping, memberOrder, offer: pair, adoptedAt: null };
}

/** The token session of a legacy session as it will be made, under an id of its own. */
export async function prepareUpgrade(
  { store, keys }: LegacyEnvironment,
  { source, legacyKey, hash }: LegacyIdentity,
  { data: value, bookkeeping }: LegacyValue,
): Promise<Upgrade> {
  const data = JSON.stringify(value);
  const sessionId = store.db.generateId();
  const maxAgeInSeconds = source.ownMaxAgeInSeconds(bookkeeping);
  const pair = await store.newPair(sessionId, parseData(data), maxAgeInSeconds);
  return {
    key: hash,
    source: source.name,
    sealedKey: source.oldStore ? sealLegacyKey(keys, hash, legacyKey.key) : null,
    origin: legacyKey.origin,
    bookkeeping,
    memberOrder: memberOrderOf(value),
    expiresAt: source.expiresAt(bookkeeping),
    sessionId,
    data,
    maxAgeInSeconds,
    pair,
  };
}

// An offered access token that lives less than this, or half its life, is renewed before it is offered
// again.
const freshForInSeconds = 60;

/**
 * The pair on offer: the one of the upgrade, with later expiry once its access token nears its end.
 * Undefined when it has been adopted. No statement while it is fresh, else one.
 */
export async function pairOnOffer(
  { store }: LegacyEnvironment,
  { source, hash }: LegacyIdentity,
  { sessionId, data, bookkeeping, offer }: LiveLink,
): Promise<PairRecord | undefined> {
  if (offer === null) return undefined;
  const lifetime = offer.accessTokenExpiresAt - offer.issuedAt;
  const now = Math.floor(store.db.now().getTime() / 1000);
  const staleAt = Math.floor(now + Math.min(freshForInSeconds, lifetime / 2));
  if (offer.accessTokenExpiresAt > staleAt) return offer;
  const own = source.ownMaxAgeInSeconds(bookkeeping);
  const { accessToken, refreshToken } = offer;
  const renewed = {
    ...(await store.newPair(sessionId, parseData(data), own)),
    accessToken,
    refreshToken,
  };
  return renewOffer(store.db, hash, staleAt, renewed);
}

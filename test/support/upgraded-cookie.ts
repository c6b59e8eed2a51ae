import type { Database } from "../../src/store/database.js";
import { type Link, linkReader } from "../../src/store/links.js";
import type { PairRecord } from "../../src/store/token-pair.js";
import { upgradeSession } from "../../src/store/upgrade-sessions.js";

const day = 24 * 60 * 60;

/** A token session that a cookie opens, as the bridge leaves it in the tables. */
export interface UpgradedCookie {
  readonly key: Buffer;
  readonly sessionId: string;
  /** The pair on offer. */
  readonly pair: PairRecord;
  /** What the cookie opens now. */
  link(): Promise<Link | undefined>;
}

/** A pair that nobody has, made now. */
export function newPair(): PairRecord {
  const issuedAt = Math.floor(Date.now() / 1000);
  return {
    accessToken: crypto.randomUUID(),
    refreshToken: crypto.randomUUID(),
    issuedAt,
    accessTokenExpiresAt: issuedAt + 900,
    refreshTokenExpiresAt: issuedAt + 30 * day,
  };
}

/** `expiresAt` is the cookie's. */
export async function upgradeCookie(db: Database, expiresAt: Date | null): Promise<UpgradedCookie> {
  const key = Buffer.from(crypto.randomUUID());
  const sessionId = crypto.randomUUID();
  const pair = newPair();
  await upgradeSession(db, {
    key,
    source: "a source",
    sealedKey: null,
    origin: undefined,
    bookkeeping: {},
    memberOrder: [],
    expiresAt,
    sessionId,
    data: "{}",
    maxAgeInSeconds: null,
    pair,
  });
  return { key, sessionId, pair, link: () => linkReader(db)(key.toString("base64url")) };
}

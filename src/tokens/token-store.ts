import { type AtOnce, goOn } from "../at-once.js";
import { type Changes, copyOf, parseData, type SessionData, StoredData } from "../commit.js";
import type { TokenRefusal } from "../events.js";
import { maximumLifetimeInSeconds } from "../options.js";
import { insertSession } from "../store/create-session.js";
import type { Database } from "../store/database.js";
import { sessionReader, type SessionRow } from "../store/read-sessions.js";
import { readRefreshedSession } from "../store/read-refreshed-session.js";
import { reportLeakedSession } from "../store/report-leaked-session.js";
import { type Rotation, rotateRefreshToken } from "../store/rotate-tokens.js";
import { insertTokenPair, type PairRecord } from "../store/token-pair.js";
import type { SessionCache } from "../store/session-cache.js";
import { type CommittedSession, sessionCommitter } from "../store/update-session.js";
import { createTokenCodec, type TokenCodec, type TokenPair, type Verified } from "./jwt.js";
import type { ParsedTokenOptions, TokenMaxAges } from "./options.js";

/** How long the immediate predecessor of a refresh token is answered with the same successor pair. */
export const refreshGraceInSeconds = 15;

/** What the middlewares need of the store: its operations by token, with rows instead of copies. */
export interface TokenStore {
  readonly db: Database;
  readonly codec: TokenCodec;
  /** The live session of a valid access token, or why there is none. */
  load(accessToken: string): AtOnce<SessionRow | TokenRefusal>;
  /** Creates a session and its first pair. */
  create(
    data: SessionData,
    maxAgeInSeconds: number | null,
  ): Promise<{ row: SessionRow; pair: TokenPair }>;
  /** Commits changes to a live session; undefined when it has ended. */
  commit(sessionId: string, changes: Changes): Promise<CommittedSession | undefined>;
  /** A further pair for a live session; undefined when it has ended. */
  issue(
    session: Pick<SessionRow, "id" | "data" | "maxAgeInSeconds">,
  ): Promise<TokenPair | undefined>;
  /** Rotates a valid refresh token. */
  rotate(refreshToken: string): Promise<(Rotation & { tokens: TokenPair | null }) | TokenRefusal>;
  /** With `compas`: queues Compas's report of a session that ended by reuse. */
  reportLeak(sessionId: string): Promise<void>;
  /** Ids and times for a new pair of this session. */
  readonly newPair: (
    sessionId: string,
    data: SessionData,
    maxAgeInSeconds: number | null,
  ) => Promise<PairRecord>;
}

// A resolver's number may be anything; a lifetime is a whole number of seconds that fits its column.
function wholeSeconds(seconds: number | undefined): number | undefined {
  if (seconds === undefined || Number.isNaN(seconds)) return undefined;
  return Math.min(Math.max(Math.floor(seconds), 1), maximumLifetimeInSeconds);
}

/**
 * `withLinks` reads and writes what the bridge knows of a session along with it; `cache` answers for the
 * database where it can.
 */
export function createTokenStore(
  db: Database,
  options: ParsedTokenOptions,
  { withLinks, cache }: { withLinks: boolean; cache: SessionCache | undefined },
): TokenStore {
  const codec = createTokenCodec(options);
  const reader = sessionReader(db, { withLinks });
  const readSession = cache?.over(reader) ?? reader;

  async function maxAges(id: string, data: () => SessionData): Promise<Required<TokenMaxAges>> {
    const { accessTokenMaxAgeInSeconds, refreshTokenMaxAgeInSeconds, tokenMaxAgeResolver } =
      options;
    const resolved = await tokenMaxAgeResolver?.({ id, data: data() });
    return {
      accessTokenMaxAgeInSeconds:
        wholeSeconds(resolved?.accessTokenMaxAgeInSeconds) ?? accessTokenMaxAgeInSeconds,
      refreshTokenMaxAgeInSeconds:
        wholeSeconds(resolved?.refreshTokenMaxAgeInSeconds) ?? refreshTokenMaxAgeInSeconds,
    };
  }

  async function newPair(id: string, data: SessionData, maxAgeInSeconds: number | null) {
    const ages = await maxAges(id, () => data);
    const issuedAt = Math.floor(db.now().getTime() / 1000);
    const refreshAge = maxAgeInSeconds ?? ages.refreshTokenMaxAgeInSeconds;
    return {
      accessToken: db.generateId(),
      refreshToken: db.generateId(),
      issuedAt,
      accessTokenExpiresAt: issuedAt + Math.min(ages.accessTokenMaxAgeInSeconds, refreshAge),
      refreshTokenExpiresAt: issuedAt + refreshAge,
    };
  }

  const orEnded = (row: SessionRow | undefined) => row ?? "ended";
  const read = ({ tokenId, refusal }: Verified) =>
    tokenId === undefined ? refusal : goOn(readSession(tokenId), orEnded);

  return {
    db,
    codec,
    newPair,
    commit: sessionCommitter(db),

    load: (accessToken) => goOn(codec.verifyAccessToken(accessToken, db.now()), read),

    async create(data, maxAgeInSeconds) {
      const id = db.generateId();
      const json = JSON.stringify(data);
      const pair = await newPair(id, data, maxAgeInSeconds);
      const checksum = await insertSession(db, { id, data: json, maxAgeInSeconds, pair });
      const stored = new StoredData(json);
      const row = { id, checksum, data: stored, maxAgeInSeconds, link: null, adoptedAt: null };
      return { row, pair: await codec.signPair(id, pair) };
    },

    async issue({ id, data, maxAgeInSeconds }) {
      const pair = await newPair(id, copyOf(data.value), maxAgeInSeconds);
      return (await insertTokenPair(db, id, pair)) ? codec.signPair(id, pair) : undefined;
    },

    async rotate(refreshToken) {
      const verified = await codec.verifyRefreshToken(refreshToken, db.now());
      const refreshTokenId = verified.tokenId;
      if (refreshTokenId === undefined) return verified.refusal;
      const session =
        options.tokenMaxAgeResolver && (await readRefreshedSession(db, refreshTokenId));
      const ages = session
        ? await maxAges(session.id, () => parseData(session.data))
        : { ...options };
      const rotation = await rotateRefreshToken(db, {
        refreshTokenId,
        graceInSeconds: refreshGraceInSeconds,
        accessTokenMaxAgeInSeconds: Math.min(
          ages.accessTokenMaxAgeInSeconds,
          ages.refreshTokenMaxAgeInSeconds,
        ),
        refreshTokenMaxAgeInSeconds: ages.refreshTokenMaxAgeInSeconds,
        withLinks,
      });
      if (rotation === undefined) return "ended";
      const { sessionId, pair } = rotation;
      return { ...rotation, tokens: pair && (await codec.signPair(sessionId, pair)) };
    },

    async reportLeak(sessionId) {
      if (options.compas) await reportLeakedSession(db, sessionId);
    },
  };
}

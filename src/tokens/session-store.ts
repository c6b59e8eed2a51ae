import { changesBetween, copyOf, type SessionData, StoredData } from "../commit.js";
import { BridgeError } from "../errors.js";
import { Events, type TokenEvents } from "../events.js";
import { type Cleaned, deleteExpired } from "../store/cleanup.js";
import { createDatabase } from "../store/database.js";
import type { Rotation } from "../store/rotate-tokens.js";
import { revokeSession } from "../store/revoke-session.js";
import { createSessionCache } from "../store/session-cache.js";
import { replaceSession } from "../store/update-session.js";
import type { TokenPair } from "./jwt.js";
import { readTokenSessionOptions, type TokenSessionOptions } from "./options.js";
import { createTokenStore, type TokenStore } from "./token-store.js";

/** A session as read from the store. */
export interface StoredSession {
  readonly id: string;
  /** The version of `data`. */
  readonly checksum: string;
  data: SessionData;
}

/**
 * Sessions by token, outside of any request. Everything throws a {@link BridgeError} with code
 * `store-unavailable` or `schema-missing` when the database does not answer as it should.
 */
export interface SessionStore {
  /** Creates a session with its first token pair. One statement. */
  create(data: SessionData): Promise<TokenPair>;
  /** The live session of a valid access token, or undefined. One statement, shared by concurrent calls. */
  get(accessToken: string): Promise<StoredSession | undefined>;
  /**
   * Stores `session.data` and gives the session with its new version. For an object that `get` gave,
   * only the members that changed since are written, so nobody else's change is lost. For any other
   * object with `id` and `checksum`, the whole data is replaced if its version is still `checksum`.
   *
   * @throws BridgeError `session-ended`, or `session-conflict` when the version has moved on
   */
  update(session: StoredSession): Promise<StoredSession>;
  /** Ends a session and all its tokens. Ending an ended session is no error. One statement. */
  invalidate(session: Pick<StoredSession, "id">): Promise<void>;
  /**
   * Exchanges a refresh token for its successor pair; undefined when it is invalid or was reused, in
   * which case the session has been revoked. One statement.
   */
  readonly refreshTokens: (refreshToken: string) => Promise<TokenPair | undefined>;
  /**
   * Deletes tokens that expired or were revoked longer ago than this, and sessions left without any.
   * Default 14 days, in batches of 5000 rows looked at a statement.
   */
  cleanupExpiredSessions(options?: {
    maxRevokedAgeInDays?: number;
    batchSize?: number;
  }): Promise<Cleaned>;
  readonly on: <Name extends keyof TokenEvents>(
    name: Name,
    listener: (...args: TokenEvents[Name]) => void,
  ) => void;
}

/** A session store that belongs to no middleware. */
export interface ClosableSessionStore extends SessionStore {
  /** With the option `cache`: lets go of `directPool`. The pools themselves stay open. */
  close(): Promise<void>;
}

const millisecondsPerDay = 24 * 60 * 60 * 1000;

/** Exchanges a refresh token; undefined when it is invalid or was reused. */
export type Refresh = (refreshToken: string) => Promise<TokenPair | undefined>;

/** What the bridge wants to know of changes that are made without a request. */
export interface SessionStoreHooks {
  readonly cookieLingerInSeconds: number;
  updated(sessionId: string, committed: { checksum: string; data: string }): Promise<void>;
  ended(sessionId: string): Promise<void>;
}

/** The public store over the internal one. */
export function sessionStoreOver(
  store: TokenStore,
  events: Pick<Events<TokenEvents>, "on">,
  refreshTokens: Refresh,
  hooks?: SessionStoreHooks,
): SessionStore {
  const { db } = store;
  const bases = new WeakMap<StoredSession, StoredData>();

  function remember(session: StoredSession, stored: StoredData): StoredSession {
    bases.set(session, stored);
    return session;
  }

  return {
    refreshTokens,
    on: (name, listener) => {
      events.on(name, listener);
    },

    async create(data) {
      return (await store.create(data, null)).pair;
    },

    async get(accessToken) {
      const row = await store.load(accessToken);
      if (typeof row === "string") return undefined;
      const { id, checksum, data } = row;
      return remember({ id, checksum, data: copyOf(data.value) }, data);
    },

    async update(session) {
      const { id, data } = session;
      const base = bases.get(session);
      if (base === undefined) {
        const replaced = await replaceSession(db, { ...session, data: JSON.stringify(data) });
        if (replaced === "conflict") throw new BridgeError("session-conflict");
        if (replaced === "ended") throw new BridgeError("session-ended");
        await hooks?.updated(id, replaced);
        const stored = new StoredData(replaced.data);
        return remember({ id, checksum: replaced.checksum, data }, stored);
      }
      const changes = changesBetween(base.value, data);
      if (changes === undefined) return session;
      const committed = await store.commit(id, changes);
      if (committed === undefined) throw new BridgeError("session-ended");
      const { checksum } = committed;
      const stored = new StoredData(committed.data);
      await hooks?.updated(id, committed);
      return remember({ id, checksum, data: copyOf(stored.value) }, stored);
    },

    async invalidate({ id }) {
      await revokeSession(db, id);
      await hooks?.ended(id);
    },

    async cleanupExpiredSessions({ maxRevokedAgeInDays = 14, batchSize = 5000 } = {}) {
      if (!(maxRevokedAgeInDays >= 0) || !(Number.isInteger(batchSize) && batchSize > 0)) {
        throw new TypeError(
          "cleanupExpiredSessions: maxRevokedAgeInDays must be 0 or more, batchSize 1 or more",
        );
      }
      const before = new Date(db.now().getTime() - maxRevokedAgeInDays * millisecondsPerDay);
      return deleteExpired(db, {
        before,
        batchSize,
        cookieLingerInSeconds: hooks?.cookieLingerInSeconds ?? 0,
      });
    },
  };
}

/** Rotates and tells about it; `onRotation` learns of it first. */
export function refresher(
  store: TokenStore,
  events: Pick<Events<TokenEvents>, "emit">,
  onRotation?: (rotation: Rotation) => Promise<void>,
): Refresh {
  // The session has ended already: the refusal does not depend on who is told.
  const report = (sessionId: string) =>
    store.reportLeak(sessionId).catch((error: unknown) => {
      events.emit("error", error as Error);
    });

  return async (refreshToken) => {
    const rotation = await store.rotate(refreshToken);
    if (typeof rotation === "string") {
      events.emit("refresh-refused", { reason: rotation });
      return undefined;
    }
    await onRotation?.(rotation);
    const { outcome, sessionId, tokens } = rotation;
    if (outcome !== "reused") {
      events.emit("refreshed", { sessionId, result: outcome });
      return tokens ?? undefined;
    }
    events.emit("refresh-refused", { reason: "reused" });
    events.emit("session:leaked", { sessionId });
    await report(sessionId);
    return undefined;
  };
}

/**
 * The session store by itself, for scripts, workers and other transports.
 *
 * @throws TypeError that lists every invalid option
 */
export function createSessionStore(options: TokenSessionOptions): ClosableSessionStore {
  const { shared, tokens } = readTokenSessionOptions("createSessionStore", options);
  const events = new Events<TokenEvents>();
  const db = createDatabase(shared);
  const cache = createSessionCache(db, shared, (error) => {
    events.emit("error", error);
  });
  const store = createTokenStore(db, tokens, { withLinks: false, cache });
  return {
    ...sessionStoreOver(store, events, refresher(store, events)),
    close: async () => cache?.close(),
  };
}

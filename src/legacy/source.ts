import type Koa from "koa";
import type { Context, Middleware } from "koa";
import type { SessionData } from "../commit.js";
import type { Pool } from "../store/database.js";
import type { Bookkeeping } from "../store/links.js";
import type { OldTable } from "../store/old-table.js";
import type { SessionHandle } from "../tokens/session-handle.js";

/** A stored value of the old middleware, taken apart. */
export interface LegacyValue {
  readonly data: SessionData;
  /** What the old middleware keeps beside the data. */
  readonly bookkeeping: Bookkeeping;
}

/** A verified credential's legacy key. */
export interface LegacyKey {
  readonly key: string;
  /** From when on the session may be upgraded; always, when left out. */
  readonly settledAt?: Date;
  /** The key was made for this request: the cookie has none yet. */
  readonly isMinted?: boolean;
  /** Data cookies: when this very cookie expires. */
  readonly expiresAt?: Date | undefined;
  /** Hash of the cookie that had no key; once the session has ended, that cookie has too. */
  readonly origin?: Buffer | undefined;
}

/** The old store as the bridge uses it by itself, outside of the old middleware. */
export interface OldStore {
  get(key: string, ctx: Context | undefined): Promise<unknown>;
  set(key: string, value: LegacyValue, ctx: Context | undefined): Promise<void>;
  destroy(key: string, ctx: Context | undefined): Promise<void>;
  /** Lists the keys of its sessions, each at least once; left out when it cannot. */
  keys?(): AsyncIterable<string>;
  /** Its table, when it has one in the database of this pool; in the bridge's own pool when left out. */
  readonly table?: OldTable & { readonly pool?: Pool };
}

/** One old session system: the application's own middleware and configuration. */
export interface LegacySource {
  /** Names it in counts and links; part of a link's key, so it must never change. */
  readonly name: string;
  /** Every cookie that the old middleware sets. */
  readonly cookieNames: readonly string[];
  /** False when the cookie itself carries the data: there is no old store to write through to. */
  readonly oldStore: OldStore | undefined;
  /** False for a cookie that carries data and no signature: anybody can write one. */
  readonly isTrusted: boolean;
  /** Makes the application's own middleware, over the bridging store. */
  install(app: Koa, store: BridgingStore): Middleware;
  /** Whether the request carries the cookie (or other credential), valid or not. */
  isPresented(ctx: Context): boolean;
  /** The legacy key of a verified credential. Sets no cookie and reads no store. */
  readKey(ctx: Context, now: Date): LegacyKey | undefined;
  /** Data cookies: a key for a new session. */
  newKey?(now: Date): string;
  /** Data cookies: writes the presented cookie again, with the key that was made for it. */
  identify?(ctx: Context, key: string): void;
  /** Clears the cookies, as the old middleware would. */
  clear(ctx: Context): void;
  /** Has the old middleware store the session now. */
  commit(ctx: Context): Promise<void>;
  /** Takes a stored value apart; `ctx` is the request that read or wrote it, if one did. */
  split(value: unknown, ctx: Context | undefined): LegacyValue;
  join(value: LegacyValue): unknown;
  /** When the cookie session ends, where its bookkeeping says so. */
  expiresAt(bookkeeping: Bookkeeping): Date | null;
  /** The old system does not run on Koa: its cookie cannot be written, and a new session gets tokens. */
  readonly isReadOnly?: boolean;
  /**
   * Only the old store ends a session whose time is over, not the old middleware: so the bridge has to,
   * for those that it no longer reads there.
   */
  readonly isExpiredByStore?: boolean;
  /** The old middleware hands `ctx` to its store, and the source hands it on in every call. */
  readonly handsContext?: boolean;
  /** Gives a request with a bearer token what the old middleware puts on `ctx` beside the session. */
  extendTokenPath?(ctx: Context, session: SessionHandle): void;
  /** How long a new cookie is good for; left out: until the browser is closed, or not known. */
  readonly cookieMaxAgeInSeconds?: number | undefined;
  /** The cookie is for HTTPS only, where the source tells. */
  readonly isSecure?: boolean;
  /** A lifetime that the application gave this one session, in seconds. */
  ownMaxAgeInSeconds(bookkeeping: Bookkeeping): number | null;
}

/**
 * The store that the old middleware is given in place of its own. Each operation is told how to reach
 * the old store with the old middleware's very arguments. Without `ctx` it follows the request through the
 * old middleware.
 */
export interface BridgingStore {
  get(key: string, readOld: Reach, ctx?: Context): Promise<unknown>;
  set(
    key: string,
    value: unknown,
    writeOld: (ctx: Context | undefined, value: unknown) => unknown,
    destroyOld: Reach,
    ctx?: Context,
  ): Promise<void>;
  destroy(key: string, destroyOld: Reach, ctx?: Context): Promise<void>;
  /** The old middleware keeps a session alive that has not changed; `value` is what it would store. */
  touch(key: string, value: unknown, touchOld: Reach): Promise<void>;
  /** The old middleware took the value that it read last as a valid session. */
  accept(ctx?: Context): void;
  /** Whether it has taken the value that it read first: the one of the presented credential. */
  isOpened(): boolean;
  /** The key of the session that the request has now. */
  currentKey(): string | undefined;
  /** Work that the old middleware does not wait for: the response will. */
  later(work: () => Promise<void>): void;
  /** For data cookies, whose middleware reads and writes without waiting. */
  readonly cookie: {
    /** What the middleware gets for a decoded cookie. */
    read(payload: unknown): unknown;
    /** The id to write beside the data, if any, and the bookkeeping that the cookie must keep. */
    write(value: unknown): { id?: string; bookkeeping?: Bookkeeping };
    /** The middleware clears the cookie. */
    clear(): void;
  };
}

/** How to reach the old store, given the request, if there is one. */
type Reach = (ctx: Context | undefined) => unknown;

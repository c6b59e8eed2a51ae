import type { Context, DefaultState, Middleware } from "koa";
import { goOn } from "../at-once.js";
import { answering } from "../answer.js";
import type { BridgeError } from "../errors.js";
import { Events, type TokenEvents } from "../events.js";
import { createDatabase, type Pool } from "../store/database.js";
import { createSessionCache } from "../store/session-cache.js";
import { forbidCaching } from "../transport.js";
import { createEndpoints, type Endpoints, readPrefix, type RoutesOptions } from "./endpoints.js";
import type { TokenPair } from "./jwt.js";
import { readTokenSessionOptions, type TokenSessionOptions } from "./options.js";
import type { Session } from "./session.js";
import { refresher, type SessionStore, sessionStoreOver } from "./session-store.js";
import { createTokenPath, noCredential } from "./token-path.js";
import { createTokenStore } from "./token-store.js";

/** What a session middleware gives to `ctx`. */
export interface SessionContext {
  /** Read: null once removed. Set: an object replaces the data, null ends the session. */
  get session(): Session | null;
  set session(value: object | null);
}

/** A Koa middleware that gives `ctx.session`, with what an application needs beside it. */
export interface SessionMiddleware extends Middleware<DefaultState, SessionContext> {
  /** `POST {prefix}/upgrade`, `/refresh` and `/logout`. Default prefix `/session`. */
  routes(options?: RoutesOptions): Middleware;
  /**
   * Commits the session now and gives tokens for it: for a login that answers in the body.
   *
   * @throws BridgeError `no-session` when the session is empty or removed
   */
  issueTokens(ctx: object): Promise<TokenPair>;
  readonly sessions: SessionStore;
  on: SessionStore["on"];
  /** Lets go of the pools, which stay open themselves. */
  close(): Promise<void>;
}

/**
 * Sessions by access token alone: what remains of the bridge after the migration.
 *
 * @throws TypeError that lists every invalid option
 */
export function tokenSession(options: TokenSessionOptions): SessionMiddleware {
  const { shared, tokens } = readTokenSessionOptions("tokenSession", options);
  const events = new Events<TokenEvents>();
  const tell = (error: Error) => {
    events.emit("error", error);
  };
  const db = createDatabase(shared);
  const cache = createSessionCache(db, shared, tell);
  const store = createTokenStore(db, tokens, { withLinks: false, cache });
  const path = createTokenPath(store, { shared, tokens }, events);
  const sessions = sessionStoreOver(store, events, refresher(store, events));
  const listener = { tell, refused: refusalTeller(events) };
  const release = guardPool(shared.pool, tell);
  let endpoints: Endpoints | undefined;

  const middleware: Middleware<DefaultState, SessionContext> = (ctx, next) => {
    return answering(ctx, next, listener, (next) => {
      const credential = endpoints?.isRefresh(ctx) ? noCredential : path.authenticate(ctx);
      return goOn(credential, (credential) => path.run(ctx, next, credential));
    });
  };

  return Object.assign(middleware, {
    sessions,
    on: sessions.on,
    issueTokens: (ctx: object) => issueTokens(ctx as Context),
    close: () => {
      cache?.close();
      release();
      return Promise.resolve();
    },
    routes(options?: RoutesOptions) {
      endpoints = createEndpoints(readPrefix(options), {
        upgrade: (ctx) => path.refuseUpgrade(ctx),
        now: shared.clock,
        refused: listener.refused,
        refresh: sessions.refreshTokens,
        logout,
        isResolved: (ctx) => path.hasBegun(ctx),
        resolve: (ctx, next) => middleware(ctx as never, next) as Promise<void>,
      });
      return endpoints.middleware;
    },
  });

  async function issueTokens(ctx: Context): Promise<TokenPair> {
    const pair = await path.issueTokens(ctx);
    if (pair === undefined) return missingMiddleware();
    forbidCaching(ctx);
    return pair;
  }
}

/** Tells of requests that were answered with a problem document. */
export const refusalTeller =
  (events: Pick<Events<TokenEvents>, "emit">) =>
  ({ code, status }: BridgeError) => {
    events.emit("refused", { code, status });
  };

/** `issueTokens` was called for a request that the middleware has not seen. */
export function missingMiddleware(): never {
  throw new TypeError("issueTokens: the session middleware has not run for this request");
}

/** Ends the session; the middleware commits it when the handler is done. */
export function logout(ctx: Context): Promise<void> {
  (ctx as Context & SessionContext).session = null;
  return Promise.resolve();
}

const guarded = new WeakMap<Pool, Set<(error: Error) => void>>();

/**
 * A pool without an `error` listener ends the process when an idle connection is lost, also while the
 * pool is being closed: so it keeps its listener when `tell` is released.
 */
export function guardPool(pool: Pool, tell: (error: Error) => void): () => void {
  let listeners = guarded.get(pool);
  if (listeners === undefined) {
    const told = (listeners = new Set());
    guarded.set(pool, told);
    pool.on("error", (error) => {
      for (const listener of told) listener(error);
    });
  }
  listeners.add(tell);
  return () => {
    listeners.delete(tell);
  };
}

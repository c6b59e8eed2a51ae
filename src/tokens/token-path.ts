import type { Context, Next } from "koa";
import { type AtOnce, goOn } from "../at-once.js";
import { BridgeError } from "../errors.js";
import type { Events, TokenEvents, TokenRefusal } from "../events.js";
import type { ParsedSharedOptions } from "../common-options.js";
import type { SessionRow } from "../store/read-sessions.js";
import { handOut, isUnreadable } from "../transport.js";
import { SessionHandle, type TokenPathHooks } from "./session-handle.js";
import type { TokenPair } from "./jwt.js";
import type { ParsedTokenOptions } from "./options.js";
import { defineSession } from "./session.js";
import type { TokenStore } from "./token-store.js";

/** The bearer credential of a request. */
export type BearerCredential =
  | { readonly kind: "bearer"; readonly row: SessionRow }
  | { readonly kind: "invalid"; readonly reason: TokenRefusal }
  | { readonly kind: "none" };

const asCredential = (row: SessionRow | TokenRefusal): BearerCredential =>
  typeof row === "string" ? { kind: "invalid", reason: row } : { kind: "bearer", row };

export const noCredential: BearerCredential = { kind: "none" };

/** Requests whose session is a token session, or none at all. */
export interface TokenPath {
  /** Reads the access token, if there is one of ours, and its live session. */
  authenticate(ctx: Context): AtOnce<BearerCredential>;
  /**
   * Gives `ctx.session`, runs the handler, commits, hands out new tokens.
   *
   * @throws BridgeError `invalid-token`: presented and refused is never the same as not presented
   */
  run(ctx: Context, next: Next, credential: BearerCredential): Promise<void>;
  /** The pair of a request that `run` is running; undefined when another path runs it. */
  issueTokens(ctx: Context): Promise<TokenPair> | undefined;
  /** Whether `run` has been called for this request. */
  hasBegun(ctx: Context): boolean;
  /** Whether the handler of a request that `run` has run removed its session. */
  isLoggedOut(ctx: Context): boolean;
  /**
   * The answer to an upgrade without a cookie session. Never a pair: whoever got hold of a short-lived
   * access token must not turn it into a refresh token.
   */
  refuseUpgrade(ctx: Context): Promise<never>;
}

export function createTokenPath(
  store: TokenStore,
  options: { shared: ParsedSharedOptions; tokens: ParsedTokenOptions },
  events: Pick<Events<TokenEvents>, "emit">,
  hooks?: TokenPathHooks,
): TokenPath {
  const { readAccessToken, isForeignToken, onInvalidToken, transport } = options.shared;
  // On the context itself: a WeakMap with an entry for each request keeps the garbage collector busy.
  const kept = Symbol("session handle");
  const handleOf = (ctx: Context) => (ctx as { [kept]?: SessionHandle })[kept];

  return {
    authenticate(ctx) {
      const token = readAccessToken(ctx);
      if (token === undefined || isForeignToken(token)) return noCredential;
      return goOn(store.load(token), asCredential);
    },

    async run(ctx, next, credential) {
      if (credential.kind === "invalid") {
        events.emit("token-refused", { reason: credential.reason });
        if (onInvalidToken === "reject") throw new BridgeError("invalid-token");
      }
      const row = credential.kind === "bearer" ? credential.row : undefined;
      const handle = new SessionHandle(store, row, {
        ctx,
        hooks,
        merged: (sessionId) => {
          events.emit("merged", { sessionId });
        },
        defaultMaxAgeInSeconds: options.tokens.refreshTokenMaxAgeInSeconds,
      });
      (ctx as { [kept]?: SessionHandle })[kept] = handle;
      defineSession(ctx, handle);
      hooks?.opened(ctx, handle, row);
      try {
        await next();
      } catch (error) {
        // The handler's own error is what the client and the operator must see.
        await handle.commit({ handlerFailed: true }).catch((failure: unknown) => {
          events.emit("error", failure as Error);
        });
        throw error;
      }
      // The client of a page load cannot receive tokens: nothing would ever open such a session.
      const isLost = isUnreadable(ctx);
      const committed = handle.commitIfNeeded({ handlerFailed: isLost });
      if (committed !== undefined) await committed;
      const pair = handle.takePair();
      if (pair !== undefined && !isLost) {
        // Without a cookie there is nothing to call the upgrade endpoint with: headers it is.
        await handOut(ctx, transport === "endpoint" ? "headers" : transport, pair);
      }
    },

    hasBegun: (ctx) => handleOf(ctx) !== undefined,

    isLoggedOut: (ctx) => handleOf(ctx)?.isRemoved === true,

    refuseUpgrade(ctx) {
      const isBearer = handleOf(ctx)?.isNew === false;
      return Promise.reject(new BridgeError(isBearer ? "already-bearer" : "no-session"));
    },

    issueTokens(ctx) {
      const handle = handleOf(ctx);
      return handle?.issue().then((pair) => {
        if (pair === undefined) throw new BridgeError("no-session");
        return pair;
      });
    },
  };
}

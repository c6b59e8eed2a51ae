import type { Context, Middleware, Next } from "koa";
import type { LegacyOutcome } from "../events.js";
import type { Mode } from "../mode.js";
import type { SourceStore } from "./bridging-store.js";
import { BridgeError } from "../errors.js";
import type { TokenPair } from "../tokens/jwt.js";
import { legacyCookieLines, withholdRenewals } from "./cookie-lines.js";
import type { LegacyEnvironment } from "./environment.js";
import { LegacyRequest } from "./legacy-request.js";
import { reachOld } from "./reach-old.js";
import type { LegacySource } from "./source.js";

/** A source with its installed middleware. */
export interface InstalledSource extends LegacySource {
  readonly middleware: Middleware;
  /** What the middleware was given for a store. */
  readonly store: SourceStore;
  /** Before anything else looks at the request. */
  prepare?(ctx: Context): void;
}

/** A presented legacy credential, looked up but not yet judged by the old middleware. */
export interface LegacyCredential {
  readonly request: LegacyRequest;
  /** Why it opens nothing, as far as can be told before the old middleware runs. */
  readonly dead: "unverified" | "retired" | "missed" | undefined;
}

/** Requests that the application's own session middleware serves, over the bridging store. */
export interface LegacyPath {
  /** Verifies and looks up what the request presents to a source. One statement. */
  authenticate(ctx: Context, mode: Mode, source: InstalledSource): Promise<LegacyCredential>;
  /** Whether there is a session behind a credential that is not dead; one read where it is not linked. */
  opens(credential: LegacyCredential): Promise<boolean>;
  /** After a logout: no cookie that was presented to these may open a session at the next request. */
  endPresented(ctx: Context, mode: Mode, sources: readonly InstalledSource[]): Promise<void>;
  /** Runs the old middleware and the handler, then upgrades the session; gives the request. */
  run(request: LegacyRequest, source: InstalledSource, next: Next): Promise<void>;
  /** Whether `run` has been called for a request. */
  hasBegun(ctx: Context): boolean;
  /** What became of the presented credential; told after `run`. */
  outcomeOf(credential: LegacyCredential): LegacyOutcome;
  /** Stores, upgrades and gives the pair; undefined when no old middleware runs this request. */
  issueTokens(ctx: Context, options: { evenIfAdopted: boolean }): Promise<TokenPair> | undefined;
}

export function createLegacyPath(env: LegacyEnvironment): LegacyPath {
  const requests = new WeakMap<Context, LegacyRequest>();

  return {
    async authenticate(ctx, mode, source) {
      const request = new LegacyRequest(env, ctx, mode, source);
      const key = source.readKey(ctx, env.store.db.now());
      const isForgeable = source.isReadOnly === true && !source.isTrusted && !env.allowUnsigned;
      if (key === undefined || isForgeable) return { request, dead: "unverified" };
      const session = (request.credential = await request.sessionOf(key));
      if (session.hasEnded) return { request, dead: "missed" };
      return { request, dead: session.isRetired ? "retired" : undefined };
    },

    opens: async ({ request }) => (await request.credential?.isThere()) === true,

    async endPresented(ctx, mode, sources) {
      for (const source of sources) {
        try {
          await endPresented((await this.authenticate(ctx, mode, source)).request);
        } catch (error) {
          // The logout itself is done. Whatever that cookie opens, its owner wants to leave.
          env.events.emit("error", error as Error);
          if (!ctx.headerSent) source.clear(ctx);
        }
      }
    },

    async run(request, source, next) {
      requests.set(request.ctx, request);
      const handle = () => {
        // What is read from here on may have changed since the look-up.
        request.credential?.takeOldRow();
        return next() as Promise<void>;
      };
      try {
        await source.store.run(
          request,
          () => source.middleware(request.ctx, handle) as Promise<void>,
        );
      } finally {
        await request.settle();
        if (request.mode === "drain") withholdRenewals(request);
      }
      await request.current?.upgrade();
      identify(request, env.store.db.now());
    },

    hasBegun: (ctx) => requests.has(ctx),

    outcomeOf({ request, dead }) {
      if (dead !== undefined) return dead;
      // A data cookie that the handler did not look at stays unjudged; its signature held.
      return request.isOpened || request.presented === undefined ? "hit" : "missed";
    },

    issueTokens(ctx, options) {
      const request = requests.get(ctx);
      return request && issue(request, options);
    },
  };
}

async function endPresented({ ctx, source, credential }: LegacyRequest): Promise<void> {
  if (credential === undefined || !(await credential.isThere())) return;
  await credential.end();
  if (!ctx.headerSent) source.clear(ctx);
  await reachOld(() => source.oldStore?.destroy(credential.key, ctx));
}

// A response that writes the cookie again must not come after one that changed its data. So only a quick
// one does, and of a browser only one that loads a page: whatever the page asks for comes later.
const quickInMilliseconds = 1000;

// Gives a data cookie without a key the one that was made for it, for the next requests to come with.
function identify(request: LegacyRequest, now: Date): void {
  const { ctx, source, current, startedAt } = request;
  if (current?.isMinted !== true || current.hasEnded) return;
  // Its cookie is of no use any more without the key.
  const isUpgraded = current.sessionId !== undefined;
  if (!isUpgraded && !current.isUpgradable) return;
  const destination = ctx.get("Sec-Fetch-Dest");
  const isPage = destination === "" || destination === "document";
  const isQuick = now.getTime() - startedAt.getTime() < quickInMilliseconds;
  if ((!isUpgraded && !(isPage && isQuick)) || legacyCookieLines(request).length > 0) return;
  source.identify?.(ctx, current.key);
}

async function issue(
  request: LegacyRequest,
  { evenIfAdopted }: { evenIfAdopted: boolean },
): Promise<TokenPair> {
  // Of a system that writes no cookies, a new session has nothing but its tokens, in every mode.
  const isDisabled = request.mode === "observe" && request.source.isReadOnly !== true;
  if (isDisabled) throw new BridgeError("issuing-disabled");
  if ((request.ctx as { session?: unknown }).session === null) throw new BridgeError("no-session");
  request.isIssued = true;
  try {
    return await commitAndIssue(request, evenIfAdopted);
  } catch (error) {
    request.isIssued = false;
    throw error;
  }
}

async function commitAndIssue(request: LegacyRequest, evenIfAdopted: boolean): Promise<TokenPair> {
  await request.source.commit(request.ctx);
  await request.settle();
  if (request.diverted !== undefined) return request.diverted.pair;
  if (request.mode === "observe") throw new BridgeError("issuing-disabled");
  const session = request.current;
  if (session?.hasEnded !== false) throw new BridgeError("no-session");
  // Of several first requests each would make a session: the endpoint waits until the cookie has a key.
  await session.upgrade({ evenIfUnsettled: evenIfAdopted, isAskedFor: true });
  if (session.sessionId === undefined && session.isUnsettled) throw new BridgeError("not-settled");
  if (session.sessionId === undefined)
    throw new BridgeError(session.hasEnded ? "no-session" : "not-upgradable");
  const pair = await session.offer();
  if (pair !== undefined) return pair;
  if (!evenIfAdopted) throw new BridgeError("already-adopted");
  const further = await session.issueFurther();
  if (further === undefined) throw new BridgeError("no-session");
  return further;
}

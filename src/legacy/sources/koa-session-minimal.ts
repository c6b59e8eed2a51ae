import { AsyncLocalStorage } from "node:async_hooks";
import type { Context, Middleware, Next } from "koa";
import { BridgeError } from "../../errors.js";
import { defineSession } from "../../tokens/session.js";
import { cookieOf, isObject, lifetimeInSeconds } from "./cookie.js";
import { settled } from "./generator.js";
import { checkGiven } from "./given.js";
import { keysOf } from "./store-keys.js";
import type { BridgingStore, LegacySource, OldStore } from "../source.js";

/** What koa-session-minimal's store has to do; how it may answer, see `settled`. */
interface MinimalStore {
  get(key: string): unknown;
  set(key: string, value: unknown, ttl: number): unknown;
  destroy(key: string): unknown;
}

interface CookieOptions {
  maxAge?: number;
  path?: string;
  domain?: string;
  [option: string]: unknown;
}

interface MinimalOptions {
  key?: string;
  store?: MinimalStore;
  cookie?: CookieOptions | ((ctx: Context) => CookieOptions);
}

interface MinimalContext {
  session?: unknown;
  sessionHandler?: { regenerateId(): void };
}

/** The key that koa-session-minimal, which does not tell it, has stored the request's session under. */
interface StoredUnder {
  key?: string;
}

const storedUnder = new AsyncLocalStorage<StoredUnder>();

// koa-session-minimal's lifetime of a session whose cookie has none, in milliseconds.
const defaultLifetime = 24 * 60 * 60 * 1000;

/**
 * Sessions of koa-session-minimal 4.
 *
 * @param session the application's own import of koa-session-minimal
 * @param config the options that the application gave to it; not changed
 * @throws TypeError without a store: sessions in a process's own memory cannot be carried over
 */
export function koaSessionMinimal(
  session: (options: never) => unknown,
  config: object = {},
): LegacySource {
  const { key = "koa:sess", store: given, cookie } = config as MinimalOptions;
  checkGiven({ caller: "koaSessionMinimal", library: "koa-session-minimal" }, session, given);
  const store = given as MinimalStore;
  // The application's function looks at `ctx.session`, which is not always this one, or is not there yet.
  const cookieFor = (ctx: Context | undefined, session: unknown): CookieOptions => {
    if (typeof cookie !== "function" || ctx === undefined) return isObject(cookie) ? cookie : {};
    const isItsOwn = isObject(session) && (ctx as MinimalContext).session === session;
    const value = isObject(session) ? session : {};
    return cookie(isItsOwn ? ctx : (Object.create(ctx, { session: { value } }) as Context));
  };

  // Of several applications in one store, this one's alone.
  const keys = keysOf(store, (storeKey) => storeKey.startsWith(`${key}:`));

  const oldStore: OldStore = {
    get: async (storeKey) => settled(store.get(storeKey)),
    async set(storeKey, { data, bookkeeping }) {
      const lifetime = Number(bookkeeping["expires"]) - Date.now();
      if (lifetime > 0) await settled(store.set(storeKey, data, lifetime));
    },
    async destroy(storeKey) {
      await settled(store.destroy(storeKey));
    },
    ...(keys && { keys }),
  };

  const storeNow = new WeakMap<Context, () => Promise<void>>();

  // koa-session-minimal stores the session when the handler is done, or seems to be: `storeNow` has it go
  // on before. What the handler changes after that is stored here.
  async function run(middleware: Middleware, ctx: Context, next: Next, bridging: BridgingStore) {
    const on = ctx as Context & MinimalContext;
    let handling: Promise<void> | undefined;
    let storedEarly: string | undefined;
    const askedFor = new Promise<void>((resolve) => {
      storeNow.set(ctx, async () => {
        if (!isPopulated(on.session)) throw new BridgeError("no-session");
        if (storedEarly !== undefined) return storeChange();
        storedEarly = JSON.stringify(on.session);
        resolve();
        // A handler that has waited for nothing yet runs before `stored` is there.
        await Promise.resolve();
        await stored;
        on.sessionHandler = { regenerateId: tooLate };
      });
    });
    const under: StoredUnder = {};
    const stored = storedUnder.run(under, middleware, ctx, async () => {
      handling = next() as Promise<void>;
      await Promise.race([handling, askedFor]);
      // It would store the session under whatever id the client has made up.
      if (isPopulated(on.session) && !bridging.isOpened()) on.sessionHandler?.regenerateId();
    }) as Promise<void>;
    await stored;
    await handling;
    if (storedEarly !== undefined) storeChange();

    function storeChange() {
      const { session } = on;
      const json = JSON.stringify(session);
      if (json === storedEarly) return;
      storedEarly = json;
      const storeKey = under.key ?? bridging.currentKey();
      if (storeKey === undefined) return;
      if (isPopulated(session)) {
        bridgedStore(store, bridging).set(storeKey, session, lifetimeOf(cookieFor(ctx, session)));
        return;
      }
      bridging.later(() => bridging.destroy(storeKey, () => settled(store.destroy(storeKey))));
      source.clear(ctx);
    }
  }

  const source: LegacySource = {
    name: `koa-session-minimal:${key}`,
    cookieNames: [key],
    oldStore,
    isTrusted: true,
    isExpiredByStore: true,
    // Its store forgets a session whose cookie has no lifetime.
    cookieMaxAgeInSeconds:
      typeof cookie === "function" ? undefined : lifetimeInSeconds(lifetimeOf(cookie ?? {})),

    isPresented: (ctx) => cookieOf(ctx, key) !== undefined,

    // It signs no cookie and asks for no signature, also when the application has keys.
    readKey(ctx) {
      const id = cookieOf(ctx, key);
      return id === undefined ? undefined : { key: `${key}:${id}` };
    },

    clear(ctx) {
      const options = { path: "/", httpOnly: true, ...cookieFor(ctx, {}), overwrite: true };
      ctx.cookies.set(key, null, { ...options, signed: false, maxAge: undefined });
    },

    commit: (ctx) => Promise.resolve(storeNow.get(ctx)?.()),

    // It stores no expiry: a session is good for a lifetime from now at most. Where the application's
    // function gives the lifetime of a request's cookie and there is no request, its store alone knows.
    split: (value, ctx) => ({
      data: isObject(value) ? { ...value } : {},
      bookkeeping:
        ctx === undefined && typeof cookie === "function"
          ? {}
          : { expires: Date.now() + lifetimeOf(cookieFor(ctx, value)) },
    }),
    join: ({ data }) => data,
    expiresAt: ({ expires }) => (typeof expires === "number" ? new Date(expires) : null),
    ownMaxAgeInSeconds: () => null,

    install(_app, bridging) {
      const middleware = session({ ...config, store: bridgedStore(store, bridging) } as never);
      return (ctx, next) => run(middleware as Middleware, ctx, next, bridging);
    },

    extendTokenPath(ctx, session) {
      session.keepsUnderscored = true;
      session.isRemovedWhenEmpty = true;
      defineSession(ctx, {
        get: () => session.get(),
        set: (value) => {
          session.set(isObject(value) ? value : null);
        },
      });
      (ctx as MinimalContext).sessionHandler = {
        regenerateId() {
          // Also when the handler never looks at the session.
          session.get();
          session.isMovedAtCommit = true;
        },
      };
    },
  };
  return source;
}

const lifetimeOf = ({ maxAge }: CookieOptions) =>
  maxAge !== undefined && maxAge > 0 ? maxAge : defaultLifetime;

const isPopulated = (session: unknown) => isObject(session) && Object.keys(session).length > 0;

function tooLate(): never {
  throw new Error("ctx.sessionHandler.regenerateId() has to come before bridge.issueTokens(ctx)");
}

// koa-session-minimal waits for `get` alone.
function bridgedStore(store: MinimalStore, bridging: BridgingStore) {
  return {
    async get(key: string) {
      const value = await bridging.get(key, () => settled(store.get(key)));
      if (isObject(value)) bridging.accept();
      return value;
    },
    set(key: string, value: unknown, ttl: number) {
      const under = storedUnder.getStore();
      if (under !== undefined) under.key = key;
      bridging.later(() =>
        bridging.set(
          key,
          value,
          (_, next) => settled(store.set(key, next, ttl)),
          () => settled(store.destroy(key)),
        ),
      );
    },
    destroy(key: string) {
      // Whoever has an id that opens nothing (no more) has not asked to log out.
      if (!bridging.isOpened()) return;
      bridging.later(() => bridging.destroy(key, () => settled(store.destroy(key))));
    },
  };
}

import type { Context, Middleware, Next } from "koa";
import { cookieOf, isObject } from "./cookie.js";
import type { BridgingStore, LegacySource, OldStore } from "./source.js";

/** What koa-session-minimal's store has to do; it may answer with a promise or without. */
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
  if (typeof session !== "function") {
    throw new TypeError(
      "koaSessionMinimal: the first argument must be the function that koa-session-minimal exports",
    );
  }
  if (!isObject(given)) {
    throw new TypeError(
      "koaSessionMinimal: store is missing; without one koa-session-minimal keeps sessions in the memory of the process, where nothing can be carried over from",
    );
  }
  const store: MinimalStore = given;
  const cookieFor = (ctx: Context): CookieOptions =>
    (typeof cookie === "function" ? cookie(ctx) : cookie) ?? {};

  const oldStore: OldStore = {
    get: async (storeKey) => store.get(storeKey),
    async set(storeKey, { data, bookkeeping }) {
      const lifetime = Number(bookkeeping["expires"]) - Date.now();
      if (lifetime > 0) await store.set(storeKey, data, lifetime);
    },
    async destroy(storeKey) {
      await store.destroy(storeKey);
    },
  };

  const storeNow = new WeakMap<Context, () => Promise<void>>();

  // koa-session-minimal stores the session when the handler is done, or seems to be: `storeNow` has it go
  // on before. What the handler changes after that is stored here.
  async function run(middleware: Middleware, ctx: Context, next: Next, bridging: BridgingStore) {
    let handling: Promise<void> | undefined;
    let storedEarly: string | undefined;
    const askedFor = new Promise<void>((resolve) => {
      storeNow.set(ctx, async () => {
        storedEarly = JSON.stringify((ctx as MinimalContext).session);
        resolve();
        await stored;
      });
    });
    const stored = middleware(ctx, async () => {
      handling = next() as Promise<void>;
      await Promise.race([handling, askedFor]);
      const isStored = isPopulated((ctx as MinimalContext).session);
      // It would store the session under whatever id the client has made up.
      if (isStored && !bridging.isOpened()) (ctx as MinimalContext).sessionHandler?.regenerateId();
    }) as Promise<void>;
    await stored;
    await handling;
    const { session } = ctx as MinimalContext;
    const storeKey = bridging.currentKey();
    if (storedEarly === undefined || storeKey === undefined) return;
    if (storedEarly === JSON.stringify(session)) return;
    const old = bridgedStore(store, bridging);
    if (isPopulated(session)) old.set(storeKey, session, lifetimeOf(cookieFor(ctx)));
    else old.destroy(storeKey);
    if (!isPopulated(session)) source.clear(ctx);
  }

  const source: LegacySource = {
    name: `koa-session-minimal:${key}`,
    cookieNames: [key],
    oldStore,
    isTrusted: true,
    isExpiredByStore: true,

    isPresented: (ctx) => cookieOf(ctx, key) !== undefined,

    // It takes the cookie as signed when the application has keys, though it never signs one.
    readKey(ctx) {
      const id = ctx.app.keys === undefined ? cookieOf(ctx, key) : undefined;
      return id === undefined ? undefined : { key: `${key}:${id}` };
    },

    clear(ctx) {
      const options = { path: "/", httpOnly: true, ...cookieFor(ctx), overwrite: true };
      ctx.cookies.set(key, null, { ...options, signed: false, maxAge: undefined });
    },

    commit: (ctx) => Promise.resolve(storeNow.get(ctx)?.()),

    split: (value, ctx) => ({
      data: isObject(value) ? { ...value } : {},
      bookkeeping: { expires: Date.now() + lifetimeOf(cookieFor(ctx)) },
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
      (ctx as MinimalContext).sessionHandler = {
        regenerateId() {
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

// koa-session-minimal waits for `get` alone.
function bridgedStore(store: MinimalStore, bridging: BridgingStore) {
  return {
    async get(key: string) {
      const value = await bridging.get(key, () => store.get(key));
      if (isObject(value)) bridging.accept();
      return value;
    },
    set(key: string, value: unknown, ttl: number) {
      bridging.later(() =>
        bridging.set(
          key,
          value,
          (_, next) => store.set(key, next, ttl),
          () => store.destroy(key),
        ),
      );
    },
    destroy(key: string) {
      bridging.later(() => bridging.destroy(key, () => store.destroy(key)));
    },
  };
}

import type { Context } from "koa";
import type { CookieKeys } from "./cookie.js";
import { cookieSource } from "./koa-session-cookie.js";
import {
  accepting,
  commonSource,
  type CreateKoaSession,
  defaultMaxAge,
  forgetEarlyRead,
  type Given,
  handsContext,
  join,
  type KoaSessionOptions,
  type KoaSessionStore,
  readCookie,
} from "./koa-session-format.js";
import { keysOf } from "./store-keys.js";
import type { LegacySource, LegacyValue, OldStore } from "../source.js";

// koa-session has the store keep a session this much longer than the cookie.
const storeMargin = 10_000;

/**
 * Sessions of koa-session 5, 6 and 7, with a store or with the data in the cookie.
 *
 * @param session the application's own import of koa-session
 * @param config the options that the application gave to it; not changed
 */
export function koaSession(
  session: (options: never, app: never) => unknown,
  config: object = {},
): LegacySource {
  if (typeof session !== "function") {
    throw new TypeError(
      'koaSession: the first argument must be the function that koa-session exports (in CommonJS, koa-session 7 has it as require("koa-session").default)',
    );
  }
  return koaSessionSource(session as unknown as CreateKoaSession, config);
}

/** @param keys what signs the cookie, when that is not what signs the application's others */
export function koaSessionSource(
  create: CreateKoaSession,
  config: object,
  keys?: CookieKeys,
): LegacySource {
  const options = { ...fillIn(create, config), ...(keys && { keys }) };
  return options.store !== undefined || options.ContextStore !== undefined
    ? storeSource(create, config, options)
    : cookieSource(create, config, options);
}

// koa-session writes its defaults into the options it is given: here into a copy, for an app of no use.
function fillIn(create: CreateKoaSession, config: object): KoaSessionOptions {
  const options = { ...config };
  const made: unknown = create(options, { use: () => undefined, context: {} });
  if (typeof made === "function" && "encode" in options) return options as KoaSessionOptions;
  // A ready middleware answers with a promise, which fails.
  Promise.resolve(made).catch(() => undefined);
  throw new TypeError(
    'koaSession: the first argument is not koa-session itself; hand in what import session from "koa-session" gives, without calling it, and for koa-generic-session or koa-session-minimal take koaGenericSession or koaSessionMinimal',
  );
}

function storeSource(
  create: CreateKoaSession,
  config: object,
  options: KoaSessionOptions,
): LegacySource {
  const contextStores = new WeakMap<Context, KoaSessionStore>();
  const { ContextStore, rolling = false } = options;

  function oldStoreFor(ctx: Context | undefined): KoaSessionStore {
    if (ContextStore === undefined) return options.store as KoaSessionStore;
    if (ctx === undefined) throw new Error("a ContextStore cannot be reached outside of a request");
    const store = contextStores.get(ctx) ?? new ContextStore(ctx);
    contextStores.set(ctx, store);
    return store;
  }

  // A ContextStore is another for each request. Of several applications in one store, this one's alone.
  const { prefix = "" } = options;
  const keys =
    ContextStore === undefined
      ? keysOf(options.store as KoaSessionStore, (key) => key.startsWith(prefix))
      : undefined;

  const oldStore: OldStore = {
    get: async (key, ctx) => oldStoreFor(ctx).get(key, options.maxAge, { rolling, ctx }),
    async set(key, value, ctx) {
      const maxAge = remainingMaxAge(value, options);
      if (maxAge === 0) return;
      await oldStoreFor(ctx).set(key, join(value), maxAge, { changed: true, rolling, ctx });
    },
    async destroy(key, ctx) {
      await oldStoreFor(ctx).destroy(key, { ctx });
    },
    ...(keys && { keys }),
  };

  return {
    ...commonSource(options),
    oldStore,
    isTrusted: true,
    handsContext: handsContext(create),

    readKey(ctx) {
      const key = options.externalKey ? options.externalKey.get(ctx) : readCookie(ctx, options);
      return key ? { key } : undefined;
    },

    install(app, store) {
      const middleware = create(
        {
          ...config,
          ContextStore: undefined,
          valid: accepting(options, store),
          store: {
            get: (key: string, maxAge: unknown, given: Given) =>
              store.get(key, (ctx) => oldStoreFor(ctx).get(key, maxAge, given), given?.ctx),
            set: (key: string, value: unknown, maxAge: unknown, given: Given) =>
              store.set(
                key,
                value,
                (ctx, next) => oldStoreFor(ctx).set(key, next, maxAge, given),
                (ctx) => oldStoreFor(ctx).destroy(key, given),
                given?.ctx,
              ),
            destroy: (key: string, given: Given) =>
              store.destroy(key, (ctx) => oldStoreFor(ctx).destroy(key, given), given?.ctx),
          },
        },
        app,
      );
      return (ctx, next) => {
        forgetEarlyRead(ctx);
        return middleware(ctx, next) as Promise<void>;
      };
    },
  };
}

function remainingMaxAge(
  { bookkeeping }: LegacyValue,
  options: KoaSessionOptions,
): number | string {
  const { _expire, _session } = bookkeeping;
  if (_session === true) return "session";
  if (typeof _expire !== "number") return Number(options.maxAge ?? defaultMaxAge) + storeMargin;
  return _expire <= Date.now() ? 0 : _expire - Date.now() + storeMargin;
}

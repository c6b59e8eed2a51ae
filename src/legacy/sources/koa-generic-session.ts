import type { Context, Middleware, Next } from "koa";
import { BridgeError } from "../../errors.js";
import { cookieOf, isObject, lifetimeInSeconds, verifiedCookie } from "./cookie.js";
import { checkGiven } from "./given.js";
import { connectionOf, DisconnectedError } from "./koa-generic-session-connection.js";
import { type DeferredSessions, deferredSessions } from "./koa-generic-session-deferred.js";
import {
  cookieOptionsOf,
  type GenericOptions,
  type GenericStore,
  genericFormat,
  type SessionIdStore,
} from "./koa-generic-session-format.js";
import { extendTokenPath } from "./koa-generic-session-tokens.js";
import { accepting } from "./koa-session-format.js";
import { keysOf } from "./store-keys.js";
import type { BridgingStore, LegacySource, OldStore } from "../source.js";

interface GenericContext {
  readonly sessionId?: string;
  readonly saveSession?: () => Promise<void>;
  readonly _session?: unknown;
}

/**
 * Sessions of koa-generic-session 2.
 *
 * @param session the application's own import of koa-generic-session
 * @param config the options that the application gave to it; not changed
 * @throws TypeError without a store: sessions in a process's own memory cannot be carried over
 */
export function koaGenericSession(
  session: (options: never) => unknown,
  config: object = {},
): LegacySource {
  const options = config as GenericOptions;
  const { key = "koa.sid", prefix = "koa:sess:", store } = options;
  checkGiven({ caller: "koaGenericSession", library: "koa-generic-session" }, session, store);
  const client = store as GenericStore;
  const cookie = cookieOptionsOf(options);
  const ids: SessionIdStore = options.sessionIdStore ?? {
    get(this: Context) {
      return this.cookies.get(key, cookie);
    },
    set(this: Context, id, { cookie }) {
      if (!this.headerSent) this.cookies.set(key, id, cookie);
    },
    // Of its own accord it clears a cookie without path and domain alone.
    reset(this: Context) {
      const { path, domain } = cookie;
      const place = { path, ...(domain !== undefined && { domain }) };
      if (!this.headerSent) this.cookies.set(key, null, { ...place, expires: new Date(0) });
    },
  };
  const oldStore = oldStoreOf(client, prefix);
  const loaded = new WeakSet<Context>();
  const savers = new WeakMap<Context, () => Promise<void>>();
  const savedEarly = new WeakSet<Context>();

  function bridgedConfig(store: GenericStore, bridging: BridgingStore, deferred: DeferredSessions) {
    return {
      ...config,
      store,
      valid: accepting(options, bridging),
      sessionIdStore: {
        get(this: Context) {
          loaded.add(this);
          return deferred.idOf(this) ?? ids.get.call(this);
        },
        // Not spread: those of a class instance are on its prototype.
        set: ids.set,
        reset: ids.reset,
      },
      errorHandler(error: Error, type: string, ctx: Context) {
        const isOurs = error instanceof BridgeError;
        const cause = isOurs && error.code === "legacy-store-unavailable" ? error.cause : undefined;
        const isTold = !isOurs || (cause !== undefined && !(cause instanceof DisconnectedError));
        // With any other failure swallowed it would take the visitor for a new one, and clear the cookie.
        if (!isTold || options.errorHandler === undefined) throw error;
        options.errorHandler(isOurs ? cause : error, type, ctx);
      },
    };
  }

  return {
    name: `koa-generic-session:${key}`,
    cookieNames: options.sessionIdStore === undefined ? [key, `${key}.sig`] : [],
    oldStore,
    isTrusted: true,
    isExpiredByStore: true,
    cookieMaxAgeInSeconds: lifetimeInSeconds(cookie.maxAge),
    ...genericFormat(options),

    isPresented: (ctx) =>
      options.sessionIdStore === undefined
        ? cookieOf(ctx, key) !== undefined
        : Boolean(ids.get.call(ctx)),

    readKey(ctx) {
      const read = cookie.signed ? verifiedCookie : cookieOf;
      const id = options.sessionIdStore === undefined ? read(ctx, key) : ids.get.call(ctx);
      return id ? { key: prefix + id } : undefined;
    },

    clear(ctx) {
      ids.reset.call(ctx);
    },

    async commit(ctx) {
      await savers.get(ctx)?.();
      savedEarly.add(ctx);
    },

    install(_app, bridging) {
      const store = bridgedStore(client, bridging, options);
      const deferred = deferredSessions(options, ids, bridging, async (ctx, id) => {
        const value = await store.get(prefix + id);
        return Boolean(value) && accepting(options, bridging)(ctx, value);
      });
      const middleware = session(bridgedConfig(store, bridging, deferred) as never) as Middleware;
      const isDeferred = options.defer === true;
      return (ctx, next: Next) =>
        middleware(ctx, async () => {
          const on = ctx as GenericContext;
          const { saveSession } = on;
          if (saveSession) savers.set(ctx, isDeferred ? () => deferred.save(ctx) : saveSession);
          await next();
          const isUnread = Object.hasOwn(on, "_session") && !loaded.has(ctx);
          if (isDeferred && isUnread) await deferred.findId(ctx);
          // By itself it does not destroy what was new when the request began.
          if (savedEarly.has(ctx) && !on._session) {
            await store.destroy(prefix + String(on.sessionId));
            ids.reset.call(ctx);
          }
        }) as Promise<void>;
    },

    extendTokenPath: (ctx, handle) => {
      extendTokenPath(ctx, handle, { cookie, isDeferred: options.defer === true });
    },
  };
}

function oldStoreOf(client: GenericStore, prefix: string): OldStore {
  // Of several applications in one store, this one's alone.
  const keys = keysOf(client, (key) => key.startsWith(prefix));
  return {
    get: (key) => readOld(client, key),
    async set(key, { data, bookkeeping }) {
      const { cookie, expires } = bookkeeping;
      const lifetime = typeof expires === "number" ? expires - Date.now() : undefined;
      if (lifetime !== undefined && lifetime <= 0) return;
      await client.set(key, { ...(isObject(cookie) && { cookie }), ...data }, lifetime);
    },
    async destroy(key) {
      await client.destroy(key);
    },
    ...(keys && { keys }),
  };
}

// koa-generic-session takes a file that is not there for a session that is not there.
async function readOld(client: GenericStore, key: string): Promise<unknown> {
  try {
    return await client.get(key);
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return undefined;
    throw error;
  }
}

function bridgedStore(
  client: GenericStore,
  bridging: BridgingStore,
  { reconnectTimeout }: GenericOptions,
): GenericStore {
  const connection = connectionOf(client, reconnectTimeout);
  return {
    get: (key) =>
      bridging.get(key, async (ctx) => {
        await connection.ready();
        const value = await readOld(client, key);
        // Another request has just ended it: taken for new, it would come back under another id.
        const isReadAgain = !value && ctx !== undefined && bridging.currentKey() === key;
        return isReadAgain ? (ctx as GenericContext)._session : value;
      }),
    set: (key, value, ttl) =>
      bridging.set(
        key,
        value,
        (_, next) => client.set(key, next, ttl),
        () => client.destroy(key),
      ),
    destroy: (key) => bridging.destroy(key, () => client.destroy(key)),
  };
}

import { randomBytes } from "node:crypto";
import type { Context, Middleware, Next } from "koa";
import { BridgeError } from "../errors.js";
import { cookieOf, isObject, verifiedCookie } from "./cookie.js";
import {
  cookieOptionsOf,
  type GenericOptions,
  type GenericStore,
  genericFormat,
} from "./koa-generic-session-format.js";
import { extendTokenPath } from "./koa-generic-session-tokens.js";
import { accepting } from "./koa-session-format.js";
import type { BridgingStore, LegacySource, OldStore } from "./source.js";

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
  if (typeof session !== "function") {
    throw new TypeError(
      "koaGenericSession: the first argument must be the function that koa-generic-session exports",
    );
  }
  const options = config as GenericOptions;
  const { key = "koa.sid", prefix = "koa:sess:", store } = options;
  if (store === undefined) {
    throw new TypeError(
      "koaGenericSession: store is missing; without one koa-generic-session keeps sessions in the memory of the process, where nothing can be carried over from",
    );
  }
  const client: GenericStore = store;
  const cookie = cookieOptionsOf(options);
  const ids = options.sessionIdStore ?? {
    get(this: Context) {
      return this.cookies.get(key, cookie);
    },
    set(this: Context, id: string, { cookie }: { cookie?: object }) {
      if (!this.headerSent) this.cookies.set(key, id, cookie);
    },
    // Of its own accord it clears a cookie without path and domain alone.
    reset(this: Context) {
      const { path, domain } = cookie;
      const place = { path, ...(domain !== undefined && { domain }) };
      if (!this.headerSent) this.cookies.set(key, null, { ...place, expires: new Date(0) });
    },
  };
  const oldStore = oldStoreOf(client);
  // Set by the handler, unread, while `defer` is on: the id under which it is to be stored.
  const deferredIds = new WeakMap<Context, string>();
  const loaded = new WeakSet<Context>();

  /** What it does not check by itself: whether the presented id is one that it has given out. */
  async function findDeferredId(ctx: Context, bridging: BridgingStore): Promise<void> {
    const id = ids.get.call(ctx);
    const value = id ? await bridging.get(prefix + id, () => readOld(client, prefix + id)) : id;
    const isKnown = id && value && accepting(options, bridging)(ctx, value);
    const { genSid = newId } = options;
    deferredIds.set(ctx, isKnown ? id : await genSid.call(ctx, 24));
  }

  function bridgedConfig(bridging: BridgingStore): object {
    return {
      ...config,
      store: bridgedStore(client, bridging),
      valid: accepting(options, bridging),
      sessionIdStore: {
        ...ids,
        get(this: Context) {
          loaded.add(this);
          return deferredIds.get(this) ?? ids.get.call(this);
        },
      },
      errorHandler(error: Error, type: string, ctx: Context) {
        const isOld = error instanceof BridgeError && error.code === "legacy-store-unavailable";
        // With any other failure swallowed it would take the visitor for a new one, and clear the cookie.
        if (!isOld || options.errorHandler === undefined) throw error;
        options.errorHandler(error.cause, type, ctx);
      },
    };
  }

  return {
    name: `koa-generic-session:${key}`,
    cookieNames: options.sessionIdStore === undefined ? [key, `${key}.sig`] : [],
    oldStore,
    isTrusted: true,
    isExpiredByStore: true,
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
      await (ctx as { saveSession?: () => Promise<void> }).saveSession?.();
    },

    install(_app, bridging) {
      const middleware = session(bridgedConfig(bridging) as never) as Middleware;
      return (ctx, next: Next) =>
        middleware(ctx, async () => {
          await next();
          const isUnread = Object.hasOwn(ctx, "_session") && !loaded.has(ctx);
          if (options.defer === true && isUnread) await findDeferredId(ctx, bridging);
        }) as Promise<void>;
    },

    extendTokenPath: (ctx, handle) => {
      extendTokenPath(ctx, handle, { cookie, isDeferred: options.defer === true });
    },
  };
}

const newId = () => randomBytes(24).toString("base64url");

function oldStoreOf(client: GenericStore): OldStore {
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

function bridgedStore(client: GenericStore, bridging: BridgingStore): GenericStore {
  return {
    get: (key) => bridging.get(key, () => readOld(client, key)),
    set: (key, value, ttl) =>
      bridging.set(
        key,
        value,
        (_, next) => client.set(key, next, ttl),
        () => client.destroy(key),
      ),
    destroy: (key) => bridging.destroy(key, () => client.destroy(key)),
    // It waits for a store that says when it has lost its connection.
    ...(client.on && { on: client.on.bind(client) }),
  };
}

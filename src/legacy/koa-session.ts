import { createHash } from "node:crypto";
import type { Context, Middleware } from "koa";
import type { BridgingStore, LegacySource, LegacyValue, OldStore } from "./source.js";

/** koa-session's options as the bridge reads them, with the defaults that koa-session filled in. */
interface Options {
  key: string;
  signed: boolean;
  secure?: boolean;
  rolling?: boolean;
  maxAge?: number | "session";
  store?: KoaSessionStore;
  ContextStore?: new (ctx: Context) => KoaSessionStore;
  externalKey?: { get(ctx: Context): string | undefined; set(ctx: Context, key: string): void };
  valid?: (ctx: Context, value: unknown) => unknown;
  encode: (value: Record<string, unknown>) => string;
  decode: (cookie: string) => unknown;
}

interface KoaSessionStore {
  get(key: string, maxAge: unknown, options: object): unknown;
  set(key: string, value: unknown, maxAge: unknown, options: object): unknown;
  destroy(key: string, options: object): unknown;
}

interface KoaSessionContext extends Context {
  session?: { manuallyCommit(): Promise<void> } | null;
}

// The member of a data cookie's payload that holds its legacy key. An underscore hides it from the app.
const idMember = "_bridge";
const day = 24 * 60 * 60 * 1000;
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
  const create = session as unknown as (options: object, app: object) => Middleware;
  const options = fillIn(create, config);
  return options.store !== undefined || options.ContextStore !== undefined
    ? storeSource(create, config, options)
    : cookieSource(create, config, options);
}

// koa-session writes its defaults into the options it is given: here into a copy, for an app of no use.
function fillIn(create: (options: object, app: object) => Middleware, config: object): Options {
  const options = { ...config };
  create(options, { use: () => undefined, context: {} });
  return options as Options;
}

function storeSource(
  create: (options: object, app: object) => Middleware,
  config: object,
  options: Options,
): LegacySource {
  const contextStores = new WeakMap<Context, KoaSessionStore>();
  const { ContextStore } = options;

  function oldStoreFor(ctx: Context | undefined): KoaSessionStore {
    if (ContextStore === undefined) return options.store as KoaSessionStore;
    if (ctx === undefined) throw new Error("a ContextStore cannot be reached outside of a request");
    const store = contextStores.get(ctx) ?? new ContextStore(ctx);
    contextStores.set(ctx, store);
    return store;
  }

  const oldStore: OldStore = {
    async set(key, value, ctx) {
      const maxAge = remainingMaxAge(value, options);
      if (maxAge === 0) return;
      await oldStoreFor(ctx).set(key, join(value), maxAge, {
        changed: true,
        rolling: options.rolling ?? false,
        ctx,
      });
    },
    async destroy(key, ctx) {
      await oldStoreFor(ctx).destroy(key, { ctx });
    },
  };

  return {
    ...commonSource(options),
    oldStore,
    isTrusted: true,

    readKey: (ctx) =>
      options.externalKey
        ? options.externalKey.get(ctx) || undefined
        : verifiedCookie(ctx, options),

    install: (app, store) =>
      create(
        {
          ...config,
          ContextStore: undefined,
          valid: accepting(options, store),
          store: {
            get: (key: string, maxAge: unknown, given: object) =>
              store.get(key, (ctx) => oldStoreFor(ctx).get(key, maxAge, given)),
            set: (key: string, value: unknown, maxAge: unknown, given: object) =>
              store.set(
                key,
                value,
                (ctx, next) => oldStoreFor(ctx).set(key, next, maxAge, given),
                (ctx) => oldStoreFor(ctx).destroy(key, given),
              ),
            destroy: (key: string, given: object) =>
              store.destroy(key, (ctx) => oldStoreFor(ctx).destroy(key, given)),
          },
        },
        app,
      ),
  };
}

function cookieSource(
  create: (options: object, app: object) => Middleware,
  config: object,
  options: Options,
): LegacySource {
  // Two cookies never share a key: the payload's own id, or what was signed.
  function keyOf(cookie: string, payload: unknown): string {
    const id = isObject(payload) ? payload[idMember] : undefined;
    if (typeof id === "string" && id !== "") return id;
    return createHash("sha256").update(`${options.key}=${cookie}`).digest("base64url");
  }

  return {
    ...commonSource(options),
    oldStore: undefined,
    isTrusted: options.signed,

    readKey(ctx) {
      const cookie = verifiedCookie(ctx, options);
      if (cookie === undefined) return undefined;
      try {
        return keyOf(cookie, options.decode(cookie));
      } catch {
        return undefined;
      }
    },

    install(app, store) {
      const middleware = create(
        {
          ...config,
          valid: accepting(options, store),
          decode(cookie: string) {
            const payload = options.decode(cookie);
            const key = keyOf(cookie, payload);
            if (isObject(payload)) delete payload[idMember];
            return store.cookie.read(key, payload);
          },
          encode(value: Record<string, unknown>) {
            const id = store.cookie.write(value, () => crypto.randomUUID());
            return options.encode(id === undefined ? value : { ...value, [idMember]: id });
          },
        },
        app,
      );
      return (ctx, next) => {
        watchClearing(ctx, options.key, () => {
          store.cookie.clear();
        });
        return middleware(ctx, next) as Promise<void>;
      };
    },
  };
}

// koa-session calls no hook when it removes a data cookie: it sets the cookie empty.
function watchClearing(ctx: Context, name: string, onClear: () => void): void {
  const { cookies } = ctx;
  const set = cookies.set.bind(cookies) as (...args: unknown[]) => typeof cookies;
  cookies.set = (...args: unknown[]) => {
    if (args[0] === name && args[1] === "") onClear();
    return set(...args);
  };
}

// koa-session asks `valid` last, about a session that exists and has not expired.
function accepting(options: Options, store: BridgingStore) {
  return (ctx: Context, value: unknown) => {
    const valid = options.valid === undefined || Boolean(options.valid(ctx, value));
    if (valid) store.accept();
    return valid;
  };
}

function commonSource(options: Options) {
  return {
    name: `koa-session:${options.key}`,
    cookieNames: [options.key, `${options.key}.sig`],

    isPresented: (ctx: Context) =>
      options.externalKey
        ? Boolean(options.externalKey.get(ctx))
        : ctx.cookies.get(options.key, { signed: false }) !== undefined,

    // As koa-session removes a session.
    clear(ctx: Context) {
      if (options.secure === true && !ctx.secure) return;
      ctx.cookies.set(options.key, "", { ...options, expires: new Date(0), maxAge: undefined });
    },

    async commit(ctx: KoaSessionContext) {
      await ctx.session?.manuallyCommit();
    },

    split,
    join,

    expiresAt: ({ _expire }: Record<string, unknown>) =>
      typeof _expire === "number" ? new Date(_expire) : null,

    ownMaxAgeInSeconds({ _maxAge }: Record<string, unknown>) {
      const configured = options.maxAge ?? day;
      const isOwn = typeof _maxAge === "number" && _maxAge > 0 && _maxAge !== configured;
      return isOwn ? Math.ceil(_maxAge / 1000) : null;
    },
  };
}

/** The cookie's value if its signature holds; read without ctx.cookies.get's re-issuing of cookies. */
function verifiedCookie(ctx: Context, options: Options): string | undefined {
  const value = ctx.cookies.get(options.key, { signed: false });
  if (value === undefined || value === "" || !options.signed) return value || undefined;
  const signature = ctx.cookies.get(`${options.key}.sig`, { signed: false });
  const { keys } = ctx.cookies as { keys?: { verify(data: string, digest: string): boolean } };
  const verified = signature !== undefined && keys?.verify(`${options.key}=${value}`, signature);
  return verified === true ? value : undefined;
}

// Members that start with an underscore are koa-session's own: it drops all others of that kind.
function split(value: unknown): LegacyValue {
  const members = isObject(value) || typeof value === "string" ? Object.entries(value) : [];
  const isOwn = ([name]: [string, unknown]) => name.startsWith("_");
  return {
    data: Object.fromEntries(members.filter((member) => !isOwn(member))),
    bookkeeping: Object.fromEntries(members.filter(isOwn)),
  };
}

function join({ data, bookkeeping }: LegacyValue): Record<string, unknown> {
  return { ...data, ...bookkeeping };
}

function remainingMaxAge({ bookkeeping }: LegacyValue, options: Options): number | string {
  const { _expire, _session } = bookkeeping;
  if (_session === true) return "session";
  if (typeof _expire !== "number") return Number(options.maxAge ?? day) + storeMargin;
  return _expire <= Date.now() ? 0 : _expire - Date.now() + storeMargin;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

import type { Context, Middleware } from "koa";
import type { SessionData } from "../../commit.js";
import type { Bookkeeping } from "../../store/links.js";
import {
  type CookieKeys,
  cookieOf,
  isObject,
  lifetimeInSeconds,
  ownMaxAgeInSeconds,
  verifiedCookie,
} from "./cookie.js";
import type { BridgingStore, LegacyValue } from "../source.js";

/** koa-session's factory; all versions take the options and the app. */
export type CreateKoaSession = (options: object, app: object) => Middleware;

/** koa-session's options as the bridge reads them, with the defaults that koa-session filled in. */
export interface KoaSessionOptions {
  key: string;
  signed: boolean;
  secure?: boolean;
  rolling?: boolean;
  prefix?: string;
  maxAge?: number | "session";
  store?: KoaSessionStore;
  ContextStore?: new (ctx: Context) => KoaSessionStore;
  externalKey?: { get(ctx: Context): string | undefined; set(ctx: Context, key: string): void };
  valid?: (ctx: Context, value: unknown) => unknown;
  encode: (value: Record<string, unknown>) => string;
  decode: (cookie: string) => unknown;
  keys?: CookieKeys;
}

export interface KoaSessionStore {
  get(key: string, maxAge: unknown, options: Given): unknown;
  set(key: string, value: unknown, maxAge: unknown, options: Given): unknown;
  destroy(key: string, options: Given): unknown;
}

/** What koa-session hands to its store beside the session; `ctx` from 6.1 on. */
export type Given =
  { readonly ctx?: Context | undefined; readonly [option: string]: unknown } | undefined;

/** koa-session's lifetime of a session where none is configured, in milliseconds. */
export const defaultMaxAge = 24 * 60 * 60 * 1000;

/** What both kinds of koa-session share. */
export function commonSource(options: KoaSessionOptions) {
  return {
    name: `koa-session:${options.key}`,
    cookieNames: [options.key, `${options.key}.sig`],
    ...(options.secure === true && { isSecure: true }),

    isPresented: (ctx: Context) =>
      options.externalKey
        ? Boolean(options.externalKey.get(ctx))
        : ctx.cookies.get(options.key, { signed: false }) !== undefined,

    // As koa-session removes a session.
    clear(ctx: Context) {
      if (options.secure === true && !ctx.secure) return;
      ctx.cookies.set(options.key, "", { ...options, expires: new Date(0), maxAge: undefined });
    },

    async commit(ctx: Context) {
      const { session } = ctx as { session?: { manuallyCommit(): Promise<void> } | null };
      await session?.manuallyCommit();
    },

    split,
    join,

    expiresAt: ({ _expire }: Bookkeeping) =>
      typeof _expire === "number" ? new Date(_expire) : null,

    // Without a lifetime, and with 0, koa-session takes its own.
    cookieMaxAgeInSeconds: lifetimeInSeconds(options.maxAge || defaultMaxAge),

    ownMaxAgeInSeconds: ({ _maxAge }: Bookkeeping) =>
      ownMaxAgeInSeconds(_maxAge, options.maxAge ?? defaultMaxAge),
  };
}

/** koa-session asks `valid` last, about a session that exists and has not expired. */
export function accepting(options: Pick<KoaSessionOptions, "valid">, store: BridgingStore) {
  return (ctx: Context, value: unknown) => {
    const valid = options.valid === undefined || Boolean(options.valid(ctx, value));
    if (valid) store.accept(ctx);
    return valid;
  };
}

/** Whether koa-session tells its store which request it serves: from 6.1 on. */
export function handsContext(create: CreateKoaSession): boolean {
  let handed: unknown;
  const store = {
    get(_key: string, _maxAge: unknown, given: Given) {
      handed = given?.ctx;
      return new Promise(() => undefined);
    },
    set: () => undefined,
    destroy: () => undefined,
  };
  const app = { use: () => undefined, context: {} };
  const middleware = create({ store }, app);
  const ctx = Object.assign(Object.create(app.context) as Context, {
    cookies: { get: () => "a key" },
  });
  // Whatever stands around koa-session may want more of a context than this.
  new Promise((resolve) => {
    resolve(middleware(ctx, () => Promise.resolve()));
  }).catch(() => undefined);
  return handed === ctx;
}

/** The cookie's value, unless it has to be signed and is not. */
export function readCookie(ctx: Context, options: KoaSessionOptions): string | undefined {
  const { key, signed, keys } = options;
  return signed ? verifiedCookie(ctx, key, keys) : cookieOf(ctx, key);
}

// Members that start with an underscore are koa-session's own: it drops all others of that kind.
export function split(value: unknown): LegacyValue {
  const members = isObject(value) || typeof value === "string" ? Object.entries(value) : [];
  const isOwn = ([name]: [string, unknown]) => name.startsWith("_");
  return {
    data: Object.fromEntries(members.filter((member) => !isOwn(member))),
    bookkeeping: Object.fromEntries(members.filter(isOwn)),
  };
}

export function join({ data, bookkeeping }: LegacyValue): Record<string, unknown> {
  return { ...data, ...bookkeeping };
}

interface EarlySession {
  readonly isNew: boolean;
  readonly maxAge: unknown;
  readonly _requireSave?: boolean;
  toJSON(): SessionData;
}

/** What koa-session keeps of a request on `ctx`; a removed session is false. */
export interface ContextSession {
  readonly opts: { readonly key: string };
  /** Absent while no cookie has been decoded. */
  readonly prevHash?: unknown;
  readonly session?: false | EarlySession;
}

/**
 * koa-session begins as soon as anybody looks at `ctx.session`, and decodes a data cookie. What it decoded
 * before the link was looked up may have ended, and with two of them it may be the other's: it has to
 * begin again. Gives what it had.
 */
export function forgetEarlyRead(ctx: Context): ContextSession | undefined {
  const own = ctx as unknown as Record<symbol, { constructor?: { name?: string } } | undefined>;
  const symbol = Object.getOwnPropertySymbols(ctx).find(
    (each) => own[each]?.constructor?.name === "ContextSession",
  );
  if (symbol === undefined) return undefined;
  const early = own[symbol] as ContextSession;
  Reflect.deleteProperty(ctx, symbol);
  return early;
}

import type { Context, Middleware, Next } from "koa";
import {
  compasDefaults,
  compasKeys,
  type CompasOptions,
  isKoaSession5,
  setsKeys,
} from "./compas-defaults.js";
import { tableOf } from "./compas-store.js";
import { isObject } from "./cookie.js";
import { koaSessionSource } from "./koa-session.js";
import type { CreateKoaSession, KoaSessionStore } from "./koa-session-format.js";
import type { LegacySource } from "../source.js";

/**
 * Cookie sessions of Compas: those of `session(app, opts)` from `@compas/server`, or, where Compas has
 * dropped it, koa-session with Compas's defaults, which come from `APP_NAME`, `APP_KEYS`, `COOKIE_URL`
 * and `NODE_ENV`.
 *
 * @param session the application's own import of Compas's `session`, or of koa-session
 * @param config the options that the application gave to it; not changed. As `store`, take
 *   `compasLegacyStore(pool)`.
 * @throws TypeError when an environment variable is missing that Compas needs, or for koa-session 5 with
 *   `keepPublicCookie`
 */
export function compasSession(
  session: (...args: never[]) => unknown,
  config: object = {},
): LegacySource {
  if (typeof session !== "function") {
    throw new TypeError(
      "compasSession: the first argument must be session of @compas/server, or the function that koa-session exports",
    );
  }
  const options: CompasOptions = { ...compasDefaults(), ...config };
  const keys = compasKeys();
  const call = session as (...args: object[]) => Middleware;
  const isOwn = setsKeys(call, options);
  if (!isOwn && options.keepPublicCookie === true && isKoaSession5(call)) {
    throw new TypeError(
      "compasSession: keepPublicCookie needs koa-session 6 or later, or session of @compas/server; koa-session 5 does not tell its store which request it serves",
    );
  }
  const create: CreateKoaSession = isOwn
    ? (given, app) => call(app, withOwnStore(given as CompasOptions))
    : (given, app) => {
        Object.assign(app, { keys });
        return asCompasDoes(call, given as CompasOptions, app);
      };
  const source = koaSessionSource(create, options, keys);
  const publicCookie = options.keepPublicCookie === true ? `${options.key}.public` : undefined;
  const table = options.store && tableOf(options.store);

  return {
    ...source,
    name: `compas:${options.key}`,
    cookieNames: [...source.cookieNames, ...(publicCookie === undefined ? [] : [publicCookie])],
    oldStore: source.oldStore && {
      ...source.oldStore,
      ...(table && { table }),
    },
    clear(ctx) {
      source.clear(ctx);
      if (publicCookie !== undefined) setPublicCookie(ctx, options, "");
    },
  };
}

/** Compas puts functions of its own into the store that it is given: into another object, then. */
function withOwnStore({ store, ...given }: CompasOptions): object {
  if (store === undefined) return given;
  const own = (name: "set" | "destroy") => ({
    value: Reflect.get(store, name) as unknown,
    writable: true,
  });
  const open = { set: own("set"), destroy: own("destroy") };
  return { ...given, store: Object.create(store, open) as object };
}

/** What Compas's `session` adds to koa-session. */
function asCompasDoes(
  session: (...args: object[]) => Middleware,
  options: CompasOptions,
  app: object,
): Middleware {
  const { store, renew, keepPublicCookie } = options;
  const expiries = new WeakMap<Context, number>();
  const middleware = session(
    {
      ...options,
      renew: false,
      ...(store && keepPublicCookie === true && { store: withPublicCookie(store, options) }),
      valid(ctx: Context, value: unknown) {
        const isValid = options.valid === undefined || Boolean(options.valid(ctx, value));
        const expiry = isObject(value) ? value["_expire"] : undefined;
        if (isValid && typeof expiry === "number") expiries.set(ctx, expiry);
        return isValid;
      },
    },
    app,
  );
  const renewAfter = renew === true ? renewAfterInSeconds : Number(renew);
  return (ctx, next: Next) =>
    middleware(ctx, async () => {
      await next();
      const { session } = ctx as { session?: { _requireSave?: boolean; maxAge: unknown } | null };
      const expiry = expiries.get(ctx);
      if (!session || expiry === undefined || typeof session.maxAge !== "number") return;
      const isDue = expiry - Date.now() < session.maxAge - renewAfter * 1000;
      if (renewAfter > 0 && isDue) session._requireSave = true;
    }) as Promise<void>;
}

// A session is stored again, with a new cookie, when it was stored longer ago than this.
const renewAfterInSeconds = 30;

function withPublicCookie(store: KoaSessionStore, options: CompasOptions): KoaSessionStore {
  return {
    get: (key, maxAge, given) => store.get(key, maxAge, given),
    set(key, value, maxAge, given) {
      const ctx = given?.ctx;
      if (ctx !== undefined) setPublicCookie(ctx, options, "truthy");
      return store.set(key, value, maxAge, given);
    },
    destroy(key, given) {
      const ctx = given?.ctx;
      if (ctx !== undefined) setPublicCookie(ctx, options, "");
      return store.destroy(key, given);
    },
  };
}

/** A cookie that scripts can read: it says that there is a session, and nothing of it. */
function setPublicCookie(ctx: Context, options: CompasOptions, value: string): void {
  if (options.secure === true && !ctx.secure) return;
  const ended = { maxAge: undefined, expires: new Date(0) };
  const lasting = { ...options, httpOnly: false, signed: false };
  ctx.cookies.set(`${options.key}.public`, value, {
    ...(lasting as object),
    ...(value === "" && ended),
  });
}

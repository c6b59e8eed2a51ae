import type { Context } from "koa";
import { type Changes, changesBetween, type SessionData } from "../../commit.js";
import { isObject } from "./cookie.js";
import { makeDataCookieId, parseDataCookieId } from "./data-cookie-id.js";
import {
  accepting,
  commonSource,
  type ContextSession,
  type CreateKoaSession,
  defaultMaxAge,
  forgetEarlyRead,
  type KoaSessionOptions,
  readCookie,
  split,
} from "./koa-session-format.js";
import { hashLegacyKey } from "../sealed-key.js";
import type { LegacySource } from "../source.js";

// The member of the payload that holds the id. An underscore hides it from the application.
const idMember = "_bridge";

/** koa-session with the data in the cookie. */
export function cookieSource(
  create: CreateKoaSession,
  config: object,
  options: KoaSessionOptions,
): LegacySource {
  const common = commonSource(options);
  const withoutId = new WeakMap<Context, Record<string, unknown>>();

  return {
    ...common,
    oldStore: undefined,
    isTrusted: options.signed,

    readKey(ctx, now) {
      const cookie = readCookie(ctx, options);
      if (cookie === undefined) return undefined;
      const payload = decodeSafely(options, cookie);
      if (payload === undefined) return undefined;
      const id = payload[idMember];
      const { _expire } = payload;
      const expiresAt = typeof _expire === "number" ? new Date(_expire) : undefined;
      if (typeof id === "string" && id !== "") {
        return { key: id, expiresAt, ...parseDataCookieId(id) };
      }
      withoutId.set(ctx, payload);
      // Only an expiry in milliseconds tells this cookie from others with the same data.
      const origin =
        expiresAt && options.signed
          ? hashLegacyKey(`${common.name} without id`, cookie)
          : undefined;
      return { key: makeDataCookieId(now, origin), isMinted: true, expiresAt, origin };
    },

    newKey: (now) => makeDataCookieId(now, undefined),

    // The same payload and expiry, with the id beside it.
    identify(ctx, key) {
      const payload = withoutId.get(ctx);
      if (payload === undefined || ctx.headerSent || (options.secure === true && !ctx.secure)) {
        return;
      }
      const { _expire, _maxAge } = payload;
      const isLasting = options.maxAge !== undefined || _maxAge !== defaultMaxAge;
      const expires = typeof _expire === "number" && isLasting ? new Date(_expire) : undefined;
      const value = options.encode({ ...payload, [idMember]: key });
      ctx.cookies.set(options.key, value, { ...options, maxAge: undefined, expires });
    },

    install(app, store) {
      const middleware = create(
        {
          ...config,
          valid: accepting(options, store),
          decode(cookie: string) {
            const payload = options.decode(cookie);
            if (isObject(payload)) delete payload[idMember];
            return store.cookie.read(payload);
          },
          encode(value: Record<string, unknown>) {
            const { id, bookkeeping } = store.cookie.write(value);
            const kept = { ...value, ...bookkeeping };
            return options.encode(id === undefined ? kept : { ...kept, [idMember]: id });
          },
        },
        app,
      );
      return (ctx, next) => {
        const begun = forgetEarlyRead(ctx);
        const early = begun?.opts.key === options.key ? begun : undefined;
        const cookie = readCookie(ctx, options);
        const seen = cookie === undefined ? undefined : decodeSafely(options, cookie);
        watchClearing(ctx, options.key, () => {
          store.cookie.clear();
        });
        return middleware(ctx, () => {
          if (early !== undefined) redo(ctx, early, split(seen).data);
          return next();
        }) as Promise<void>;
      };
    },
  };
}

// A cookie that koa-session itself will not decode, or not take for a session, has no key.
function decodeSafely(
  options: KoaSessionOptions,
  cookie: string,
): Record<string, unknown> | undefined {
  try {
    const payload = options.decode(cookie);
    return isObject(payload) ? payload : undefined;
  } catch {
    return undefined;
  }
}

// What a middleware above has done to the session, once more. If it had read it, the changes alone: what it
// has read may have ended.
function redo(ctx: Context, { session: early, prevHash }: ContextSession, seen: SessionData): void {
  const on = ctx as { session?: SessionData | null };
  if (early === undefined) return;
  if (early === false) {
    on.session = null;
    return;
  }
  if (!early.isNew && prevHash === undefined) on.session = early.toJSON();
  else change(on.session, changesBetween(seen, early.toJSON()));
  if (early._requireSave === true && on.session) on.session["maxAge"] = early.maxAge;
}

function change(session: SessionData | null | undefined, changes: Changes | undefined): void {
  if (!session || changes === undefined) return;
  Object.assign(session, changes.set);
  for (const name of changes.removed) Reflect.deleteProperty(session, name);
}

// koa-session calls no hook when it removes a data cookie: it sets the cookie empty.
function watchClearing(ctx: Context, name: string, onClear: () => void): void {
  const { cookies } = ctx;
  const set = cookies.set.bind(cookies) as (...args: unknown[]) => typeof cookies;
  cookies.set = (...args: unknown[]) => {
    if (args[0] === name && !args[1]) onClear();
    return set(...args);
  };
}

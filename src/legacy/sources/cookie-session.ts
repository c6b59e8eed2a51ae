import Keygrip from "keygrip";
import type { Context } from "koa";
import { describe, OptionsReader } from "../../options.js";
import {
  type CookieKeys,
  cookieOf,
  isObject,
  lifetimeInSeconds,
  ownMaxAgeInSeconds,
  verifiedCookie,
} from "./cookie.js";
import { makeDataCookieId, parseDataCookieId } from "./data-cookie-id.js";
import { readOnlySource, type ReadOnlySystem } from "./read-only.js";
import { hashLegacyKey } from "../sealed-key.js";
import type { LegacyKey, LegacySource } from "../source.js";

/** The options that the application gave to cookie-session, as far as they matter here. */
export interface CookieSessionOptions {
  /** What cookies are signed with: a list of keys, of which any, or a Keygrip. */
  keys?: unknown;
  /** The same, when there is one alone. */
  secret?: string | undefined;
  /** The cookie's name. Default `session`. */
  name?: string | undefined;
  /** Default true. Unsigned cookies are refused unless the bridge is told `allowUnsigned`. */
  signed?: boolean | undefined;
  path?: string | undefined;
  domain?: string | undefined;
  /** The cookie's lifetime in milliseconds. */
  maxAge?: number | undefined;
  secure?: boolean | undefined;
  expires?: Date | undefined;
  sameSite?: boolean | "strict" | "lax" | "none" | undefined;
  partitioned?: boolean | undefined;
  priority?: "low" | "medium" | "high" | undefined;
}

// The cookie has no room for it: the link alone keeps it, and no data is of this name.
const kept = Symbol("bookkeeping");

// By `app.keys`, that is: these cookies have keys of their own.
const unsigned = { signed: false, overwrite: true };

/**
 * Sessions of cookie-session 2, for an application that has moved to Koa. Its cookies are read and
 * cleared, never written: what changes becomes a token session. A second cookie, `<name>.bridge`, tells
 * browsers apart whose cookies are the same.
 *
 * @param options the options object that cookie-session was given
 * @throws TypeError that lists every invalid option
 */
export function cookieSession<Options extends CookieSessionOptions>(
  options: Options,
): LegacySource {
  const { name, keys, place } = readOptions(options);
  const sourceName = `cookie-session:${name}`;
  const idCookie = `${name}.bridge`;
  const found = new WeakMap<Context, LegacyKey | undefined>();

  const valueOf = (ctx: Context) =>
    keys === undefined ? cookieOf(ctx, name) : verifiedCookie(ctx, name, keys);

  // One id cannot be carried over to other data.
  const signatureOf = (id: string) => keys?.sign(`${idCookie}=${id}`) ?? "";
  const verifiedId = (ctx: Context): string | undefined => {
    const [id = "", signature = ""] = cookieOf(ctx, idCookie)?.split("~") ?? [];
    const isOurs = keys === undefined || keys.verify(`${idCookie}=${id}`, signature);
    return isOurs && id !== "" ? id : undefined;
  };

  const placeFor = (ctx: Context) => ({ ...place, secure: options.secure === true && ctx.secure });
  const { maxAge, expires, sameSite, partitioned, priority } = options;
  // As long as the cookie that it stands beside, and wherever that is sent.
  const attributes = { maxAge, expires, sameSite, partitioned, priority };

  function findKey(ctx: Context, now: Date): LegacyKey | undefined {
    const value = valueOf(ctx);
    if (value === undefined || !isObject(decoded(value))) return undefined;
    const origin = hashLegacyKey(`${sourceName} without id`, value);
    const id = verifiedId(ctx);
    const parsed = id === undefined ? undefined : parseDataCookieId(id);
    if (id !== undefined && parsed?.origin?.equals(origin) === true) return { key: id, ...parsed };
    return { key: makeDataCookieId(now, origin), isMinted: true, origin };
  }

  const system: ReadOnlySystem = {
    readKey(ctx, now) {
      if (!found.has(ctx)) found.set(ctx, findKey(ctx, now));
      return found.get(ctx);
    },
    clear(ctx) {
      const isOwn = keys !== undefined;
      for (const cookie of [name, ...(isOwn ? [`${name}.sig`] : []), idCookie]) {
        ctx.cookies.set(cookie, null, { ...attributes, ...placeFor(ctx), ...unsigned });
      }
    },
    split(value) {
      const members: Record<string | symbol, unknown> = isObject(value) ? value : {};
      const { [kept]: bookkeeping, ...data } = members;
      return { data, bookkeeping: isObject(bookkeeping) ? bookkeeping : {} };
    },
    join: ({ data, bookkeeping }) => ({ ...data, [kept]: bookkeeping }),
    ownMaxAgeInSeconds: ({ maxAge: own }) => ownMaxAgeInSeconds(own, maxAge),
    withMaxAge: (_, milliseconds) => (milliseconds === null ? {} : { maxAge: milliseconds }),
    read: (ctx) => decoded(valueOf(ctx) ?? ""),
    write: () => Promise.resolve(),
    destroy: () => Promise.resolve(),
  };

  return {
    ...readOnlySource(system),
    name: sourceName,
    cookieNames: [name, ...(keys === undefined ? [] : [`${name}.sig`]), idCookie],
    oldStore: undefined,
    isTrusted: keys !== undefined,
    cookieMaxAgeInSeconds: lifetimeInSeconds(
      maxAge ?? (expires === undefined ? undefined : expires.getTime() - Date.now()),
    ),
    isPresented: (ctx) => cookieOf(ctx, name) !== undefined,
    expiresAt: () => null,

    identify(ctx, key) {
      if (ctx.headerSent || (options.secure === true && !ctx.secure)) return;
      const cookie = {
        ...attributes,
        ...placeFor(ctx),
        ...unsigned,
        httpOnly: true,
      };
      ctx.cookies.set(idCookie, `${key}~${signatureOf(key)}`, cookie);
    },
  };
}

// What cookie-session's own model has: it takes no data of these names.
const reserved = new Set(["isChanged", "isNew", "isPopulated", "_ctx"]);

// cookie-session spreads whatever it finds: text and lists become objects.
function decoded(cookie: string): unknown {
  try {
    const value: unknown = JSON.parse(Buffer.from(cookie, "base64").toString("utf8"));
    if (!isObject(value)) return undefined;
    const isData = (name: string) => !reserved.has(name) && !(name in Object.prototype);
    return Object.fromEntries(Object.entries(value).filter(([name]) => isData(name)));
  } catch {
    return undefined;
  }
}

function readOptions(options: CookieSessionOptions) {
  const reader = new OptionsReader("cookieSession");
  const given: CookieSessionOptions = isObject(options) ? options : {};
  const { secret, name = "session", signed = true, path = "/", domain } = given;
  const keys = given.keys ?? (secret === undefined ? [] : [secret]);
  const isKeygrip = isObject(keys) && typeof (keys as { verify?: unknown }).verify === "function";
  if (typeof options === "function") {
    reader.problem("options", "must be the options alone, without the function of cookie-session");
  }
  if (typeof (name as unknown) !== "string" || name === "") {
    reader.problem("name", `must be the cookie's name, got ${describe(name)}`);
  }
  if (signed && !isKeygrip && !(Array.isArray(keys) && keys.length > 0)) {
    reader.problem(
      "keys",
      "must be the keys that cookie-session signs with, unless signed is false",
    );
  }
  reader.finish();
  const verifier = isKeygrip || !signed ? keys : new Keygrip([...(keys as string[])]);
  return {
    name,
    keys: signed ? (verifier as CookieKeys) : undefined,
    place: { path, ...(domain !== undefined && { domain }) },
  };
}

import type { Context } from "koa";
import type { Bookkeeping } from "../../store/links.js";
import { isObject, ownMaxAgeInSeconds } from "./cookie.js";
import type { LegacySource } from "../source.js";

/** What koa-generic-session asks of a store. */
export interface GenericStore {
  get(key: string): unknown;
  set(key: string, value: unknown, ttl: unknown): unknown;
  destroy(key: string): unknown;
  on?(event: string, listener: () => void): unknown;
}

export interface GenericCookieOptions {
  readonly httpOnly: boolean;
  readonly overwrite: boolean;
  readonly signed: boolean;
  readonly path: string;
  readonly domain?: string;
  readonly maxAge?: number | null;
}

/** koa-generic-session's options as the bridge reads them. */
export interface GenericOptions {
  key?: string;
  prefix?: string;
  store?: GenericStore;
  ttl?: number | ((session: unknown) => number | undefined);
  cookie?: Partial<GenericCookieOptions> & { maxage?: number };
  defer?: boolean;
  reconnectTimeout?: number;
  genSid?: (this: Context, length: number) => string | Promise<string>;
  valid?: (ctx: Context, session: unknown) => unknown;
  errorHandler?: (error: unknown, type: string, ctx: Context) => void;
  sessionIdStore?: SessionIdStore;
}

/** How the id travels. */
export interface SessionIdStore {
  readonly get: (this: Context) => string | undefined;
  readonly set: (this: Context, id: string, session: { cookie?: object }) => void;
  readonly reset: (this: Context) => void;
}

/** The cookie's options, with koa-generic-session's defaults. */
export const cookieOptionsOf = ({ cookie }: GenericOptions): GenericCookieOptions => ({
  httpOnly: true,
  path: "/",
  overwrite: true,
  signed: true,
  maxAge: 24 * 60 * 60 * 1000,
  ...cookie,
  ...(cookie?.maxage && { maxAge: cookie.maxage }),
});

/** How a stored session is taken apart: its `cookie` member is koa-generic-session's, not data. */
export function genericFormat(
  options: GenericOptions,
): Pick<LegacySource, "split" | "join" | "expiresAt" | "ownMaxAgeInSeconds"> {
  const configured = cookieOptionsOf(options).maxAge;

  return {
    split(value) {
      if (!isObject(value)) return { data: {}, bookkeeping: {} };
      const { cookie, ...data } = value;
      const expires = expiryOf(value, options);
      return { data, bookkeeping: { ...(cookie !== undefined && { cookie }), expires } };
    },

    join: ({ data, bookkeeping: { cookie } }) => ({
      ...(isObject(cookie) && { cookie: { ...cookie } }),
      ...data,
    }),

    expiresAt: ({ expires }: Bookkeeping) =>
      typeof expires === "number" ? new Date(expires) : null,

    ownMaxAgeInSeconds: ({ cookie }: Bookkeeping) =>
      ownMaxAgeInSeconds(isObject(cookie) ? cookie["maxAge"] : undefined, configured),
  };
}

// When the store forgets a session that is stored now. It decides, not the date in the cookie: a session
// that it still gives is alive.
function expiryOf(session: Record<string, unknown>, { ttl }: GenericOptions): number | undefined {
  const now = Date.now();
  const given = typeof ttl === "function" ? ttl(session) : ttl;
  if (given) return now + given;
  const { maxAge, expires } = isObject(session["cookie"]) ? session["cookie"] : {};
  const date = expires ? new Date(expires as string | Date).getTime() : Number.NaN;
  if (!Number.isNaN(date)) return date > now ? date : undefined;
  return typeof maxAge === "number" ? now + maxAge : undefined;
}

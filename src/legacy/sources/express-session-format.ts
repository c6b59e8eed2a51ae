import { createHmac, timingSafeEqual } from "node:crypto";
import type { Context } from "koa";
import { describe, OptionsReader } from "../../options.js";
import type { OldTable } from "../../store/old-table.js";
import { isObject } from "./cookie.js";

type Callback = (error?: Error | null, session?: unknown) => void;

/** A store of express-session. */
export interface ExpressSessionStore {
  get(id: string, callback: Callback): unknown;
  set(id: string, session: never, callback?: Callback): unknown;
  destroy(id: string, callback?: Callback): unknown;
  touch?(id: string, session: never, callback?: Callback): unknown;
  /** All sessions: an object by id, or a list of sessions with their `id`. */
  all?(callback: Callback): unknown;
}

interface ExpressCookieOptions {
  path?: string;
  domain?: string;
  maxAge?: number | null;
  secure?: boolean | "auto";
}

/** The options that the application gave to express-session, as far as they matter here. */
export interface ExpressSessionOptions {
  /** What cookies are signed with, text or bytes; of several, any. */
  secret: unknown;
  /** Any store of express-session; its own types differ from package to package. */
  store?: object | undefined;
  /** The cookie's name. Default `connect.sid`. */
  name?: string | undefined;
  /** Attributes of the cookie, or a function of the request that gives them. */
  cookie?: object | undefined;
  /** False: a store that cannot be told of a session's use is not written then. Default true. */
  resave?: boolean | undefined;
  /**
   * The store is connect-pg-simple, and its table is in the database of the bridge's own pool: the first
   * look-up then also reads the session. Default false.
   */
  isInSameDatabase?: boolean | undefined;
}

interface ParsedOptions {
  readonly secrets: readonly (string | Uint8Array)[];
  readonly store: ExpressSessionStore;
  readonly name: string;
  readonly cookieFor: (ctx: Context) => ExpressCookieOptions;
  /** Of the cookie, in milliseconds; null without one, or when a function decides. */
  readonly configuredMaxAge: number | null;
  /** Of connect-pg-simple, wherever that is. */
  readonly pgTable: OldTable | undefined;
  /** The same, where it is beside the bridge's own. */
  readonly table: OldTable | undefined;
}

/** @throws TypeError that lists every invalid option */
export function readExpressOptions(options: ExpressSessionOptions): ParsedOptions {
  const reader = new OptionsReader("expressSession");
  const given: Record<string, unknown> = isObject(options) ? options : {};
  const { secret, store, cookie = {}, isInSameDatabase = false } = given;
  const name = given["name"] ?? given["key"] ?? "connect.sid";
  const secrets: unknown[] = Array.isArray(secret) ? secret : [secret];
  if (typeof options === "function") {
    reader.problem("options", "must be the options alone, without the function of express-session");
  }
  const isKey = (each: unknown) =>
    (typeof each === "string" || each instanceof Uint8Array) && each.length > 0;
  if (secrets.length === 0 || !secrets.every(isKey)) {
    reader.problem("secret", "must be the secret that express-session signs with, or several");
  }
  if (!isObject(store) || typeof store["get"] !== "function") {
    reader.problem("store", `must be the store of express-session, got ${describe(store)}`);
  } else if (store.constructor.name === "MemoryStore") {
    reader.problem(
      "store",
      "keeps sessions in the memory of the process, where nothing can be carried over from",
    );
  }
  if (typeof name !== "string" || name === "") {
    reader.problem("name", `must be the cookie's name, got ${describe(name)}`);
  }
  if (!isObject(cookie) && typeof cookie !== "function") {
    reader.problem("cookie", `must be an object or a function, got ${describe(cookie)}`);
  }
  const { quotedTable } = isObject(store) ? store : {};
  if (isInSameDatabase !== false && typeof quotedTable !== "function") {
    reader.problem("isInSameDatabase", "is for the store of connect-pg-simple alone");
  }
  reader.finish();
  const pgTable =
    typeof quotedTable === "function" ? tableOf(store as { quotedTable(): string }) : undefined;
  const parsed = cookie as ExpressCookieOptions | ((request: unknown) => ExpressCookieOptions);
  return {
    secrets: secrets as string[],
    store: store as ExpressSessionStore,
    name: name as string,
    cookieFor: (ctx) => (typeof parsed === "function" ? parsed(ctx.req) : parsed),
    configuredMaxAge: (typeof parsed === "object" && parsed.maxAge) || null,
    pgTable,
    table: isInSameDatabase === false ? undefined : pgTable,
  };
}

const tableOf = (store: { quotedTable(): string }): OldTable => ({
  name: store.quotedTable(),
  key: '"sid"',
  keyType: "varchar",
  value: '"sess"',
  expires: '"expire"',
});

/** The session's id, of a cookie `s:<id>.<signature>`: HMAC-SHA256 in base64 without padding. */
export function verifiedId(
  cookie: string | undefined,
  secrets: readonly (string | Uint8Array)[],
): string | undefined {
  const value = decoded(cookie);
  if (value?.startsWith("s:") !== true) return undefined;
  const end = value.lastIndexOf(".");
  const id = value.slice(2, end);
  const signature = Buffer.from(value.slice(end + 1));
  const isSigned = secrets.some((secret) => {
    const own = createHmac("sha256", secret).update(id).digest("base64").replace(/=+$/, "");
    return own.length === signature.length && timingSafeEqual(Buffer.from(own), signature);
  });
  return end > 2 && isSigned ? id : undefined;
}

function decoded(cookie: string | undefined): string | undefined {
  try {
    return cookie && decodeURIComponent(cookie);
  } catch {
    return undefined;
  }
}

/** The ids of what a store's `all` gives. */
export async function* idsOfAll(readAll: () => Promise<unknown>): AsyncGenerator<string> {
  const all = await readAll();
  if (!Array.isArray(all)) {
    yield* Object.keys(isObject(all) ? all : {});
    return;
  }
  for (const session of all as unknown[]) {
    const id = isObject(session) ? (session["id"] ?? session["sid"]) : undefined;
    if (typeof id !== "string") {
      throw new TypeError("the store's all() gives sessions without their ids: add keys() to it");
    }
    yield id;
  }
}

function cookieIn(session: unknown): Record<string, unknown> {
  const cookie = isObject(session) ? session["cookie"] : undefined;
  return isObject(cookie) ? cookie : {};
}

/** When the session ends by its own account; undefined when it ends with the browser's. */
export function expiryOf(session: unknown): Date | undefined {
  const { expires } = cookieIn(session);
  const date = expires ? new Date(expires as string | Date) : undefined;
  return date && !Number.isNaN(date.getTime()) ? date : undefined;
}

// Not at every request: the store need not be that precise.
const renewAfterInMilliseconds = (lifetime: number) => Math.min(60_000, lifetime / 10);

/** The session with its whole lifetime before it; undefined while it nearly has. */
export function renewedSession(session: unknown): Record<string, unknown> | undefined {
  const cookie = cookieIn(session);
  const { originalMaxAge } = cookie;
  const expiry = expiryOf(session);
  if (typeof originalMaxAge !== "number" || expiry === undefined) return undefined;
  const expires = new Date(Date.now() + originalMaxAge);
  const used = expires.getTime() - expiry.getTime();
  if (used < renewAfterInMilliseconds(originalMaxAge)) return undefined;
  return { ...(session as object), cookie: { ...cookie, expires: expires.toISOString() } };
}

/** As stores expect a session: they look at its cookie's `expires` and `maxAge`. */
export function storableSession(session: unknown): object {
  const cookie = { ...cookieIn(session) };
  const expires = expiryOf(session) ?? null;
  const maxAge = expires && expires.getTime() - Date.now();
  const all = { originalMaxAge: null, path: "/", httpOnly: true, ...cookie, expires };
  Object.defineProperty(all, "maxAge", { value: maxAge, enumerable: false });
  return { ...(isObject(session) ? session : {}), cookie: all };
}

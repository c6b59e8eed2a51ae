import { createHmac, timingSafeEqual } from "node:crypto";
import { describe, OptionsReader } from "../options.js";
import type { OldTable } from "../store/old-table.js";
import { isObject } from "./cookie.js";

type Callback = (error?: Error | null, session?: unknown) => void;

/** A store of express-session. */
export interface ExpressSessionStore {
  get(id: string, callback: Callback): unknown;
  set(id: string, session: never, callback?: Callback): unknown;
  destroy(id: string, callback?: Callback): unknown;
  touch?(id: string, session: never, callback?: Callback): unknown;
}

/** The options that the application gave to express-session, as far as they matter here. */
export interface ExpressSessionOptions {
  /** What cookies are signed with; of several, any. */
  secret: string | readonly string[];
  /** Any store of express-session; its own types differ from package to package. */
  store: object;
  /** The cookie's name. Default `connect.sid`. */
  name?: string;
  cookie?: { path?: string; domain?: string; maxAge?: number | null; [option: string]: unknown };
  /**
   * The store is connect-pg-simple, and its table is in the database of the bridge's own pool: the first
   * look-up then also reads the session. Default false.
   */
  isInSameDatabase?: boolean;
  [option: string]: unknown;
}

interface ParsedOptions {
  readonly secrets: readonly string[];
  readonly store: ExpressSessionStore;
  readonly name: string;
  /** Where the cookie is to be cleared. */
  readonly cookie: { path: string; domain?: string; isSecure: boolean };
  readonly table: OldTable | undefined;
}

/** @throws TypeError that lists every invalid option */
export function readExpressOptions(options: ExpressSessionOptions): ParsedOptions {
  const reader = new OptionsReader("expressSession");
  const given: Record<string, unknown> = isObject(options) ? options : {};
  const { secret, store, name = "connect.sid", cookie = {}, isInSameDatabase = false } = given;
  const secrets: unknown[] = Array.isArray(secret) ? secret : [secret];
  if (secrets.length === 0 || !secrets.every((each) => typeof each === "string" && each !== "")) {
    reader.problem("secret", "must be the secret that express-session signs with, or several");
  }
  if (!isObject(store) || typeof store["get"] !== "function") {
    reader.problem("store", `must be the store of express-session, got ${describe(store)}`);
  }
  if (typeof name !== "string" || name === "") {
    reader.problem("name", `must be the cookie's name, got ${describe(name)}`);
  }
  if (!isObject(cookie)) reader.problem("cookie", `must be an object, got ${describe(cookie)}`);
  const { quotedTable } = isObject(store) ? store : {};
  if (isInSameDatabase !== false && typeof quotedTable !== "function") {
    reader.problem("isInSameDatabase", "is for the store of connect-pg-simple alone");
  }
  reader.finish();
  const { path = "/", domain, secure } = options.cookie ?? {};
  return {
    secrets: secrets as string[],
    store: store as ExpressSessionStore,
    name: name as string,
    cookie: { path, ...(domain !== undefined && { domain }), isSecure: secure === true },
    table: isInSameDatabase === false ? undefined : tableOf(store as { quotedTable(): string }),
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
  secrets: readonly string[],
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
const renewAfterInMilliseconds = 60_000;

/** The session with its whole lifetime before it; undefined while it nearly has. */
export function renewedSession(session: unknown): object | undefined {
  const cookie = cookieIn(session);
  const { originalMaxAge } = cookie;
  const expiry = expiryOf(session);
  if (typeof originalMaxAge !== "number" || expiry === undefined) return undefined;
  const expires = new Date(Date.now() + originalMaxAge);
  if (expires.getTime() - expiry.getTime() < renewAfterInMilliseconds) return undefined;
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

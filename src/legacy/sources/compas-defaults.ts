import { randomUUID } from "node:crypto";
import Keygrip from "keygrip";
import type { CookieKeys } from "./cookie.js";
import type { KoaSessionOptions } from "./koa-session-format.js";

/** The options of Compas's `session`. */
export interface CompasOptions extends Partial<KoaSessionOptions> {
  key: string;
  /** Whether, or after how many seconds, a session that is used is stored again. */
  renew?: boolean | number;
  /** Keeps a cookie beside the session's that scripts can read. */
  keepPublicCookie?: boolean;
}

// As Compas decides it: everything but development is production.
const isProduction = () => process.env["NODE_ENV"] !== "development";

/** The options that Compas fills in. Compas 0.0.125 to 0.0.172. */
export function compasDefaults(): CompasOptions {
  return {
    key: `${appName().toLowerCase()}.sess`,
    maxAge: 6 * 24 * 60 * 60 * 1000,
    renew: true,
    secure: isProduction(),
    ...(isProduction() &&
      process.env["COOKIE_URL"] !== undefined && { domain: process.env["COOKIE_URL"] }),
    sameSite: "lax",
    overwrite: true,
    httpOnly: true,
    signed: true,
    autoCommit: true,
    genid: () => randomUUID(),
    encode: (value: object) => Buffer.from(JSON.stringify(value)).toString("base64"),
    decode: (cookie: string): unknown => JSON.parse(Buffer.from(cookie, "base64").toString()),
  } as CompasOptions;
}

/** What Compas signs cookies with. */
export function compasKeys(): CookieKeys {
  if (!isProduction()) return new Keygrip([appName()]);
  const { APP_KEYS = "" } = process.env;
  if (APP_KEYS.length < 20) {
    throw new TypeError(
      "compasSession: the environment variable APP_KEYS is missing or shorter than 20 characters; in production Compas signs cookies with it (in development, NODE_ENV=development, with APP_NAME)",
    );
  }
  return new Keygrip(APP_KEYS.split(","), "sha256");
}

function appName(): string {
  const { APP_NAME } = process.env;
  if (APP_NAME) return APP_NAME;
  throw new TypeError(
    "compasSession: the environment variable APP_NAME is missing; Compas names its cookie after it",
  );
}

/** Compas's own function takes the application first, and gives it keys; koa-session takes either order. */
export function setsKeys(session: (...args: object[]) => unknown, options: object): boolean {
  const app = { use: () => undefined, context: {}, keys: undefined };
  session(app, { ...options, keepPublicCookie: false, renew: false });
  return app.keys !== undefined;
}

/** Its default for the cookie's name is not that of later versions. */
export function isKoaSession5(session: (...args: object[]) => unknown): boolean {
  const options: { key?: string } = {};
  session(options, { use: () => undefined, context: {} });
  return options.key === "koa:sess";
}

import { createHmac } from "node:crypto";
import { cookieKeys } from "./app.js";
import type { Browser } from "./client.js";
import { cookieName } from "./flow.js";

/** The signature that Koa's cookies put beside a cookie: Keygrip over `name=value`. */
export function cookieSignature(name: string, value: string, key = cookieKeys[0]!): string {
  return createHmac("sha1", key).update(`${name}=${value}`).digest("base64url");
}

/** Puts a cookie and its signature into a browser. */
export function plantCookie(
  browser: Browser,
  value: string,
  { name = cookieName, key = cookieKeys[0]! } = {},
): Browser {
  browser.cookies.set(name, value);
  browser.cookies.set(`${name}.sig`, cookieSignature(name, value, key));
  return browser;
}

/** The value of a data cookie as koa-session encodes it. */
export const encodePayload = (payload: object) =>
  Buffer.from(JSON.stringify(payload)).toString("base64");

/** What a data cookie holds. */
export const decodePayload = (value: string) =>
  JSON.parse(Buffer.from(value, "base64").toString("utf8")) as Record<string, unknown>;

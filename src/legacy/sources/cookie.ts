import { timingSafeEqual } from "node:crypto";
import type { Context } from "koa";
import { maximumLifetimeInSeconds } from "../../options.js";

/** What signs and verifies cookies: a Keygrip. */
export interface CookieKeys {
  sign(data: string): string;
  verify(data: string, digest: string): boolean;
}

/** A cookie's value as it was sent, read without a look at its signature; undefined when empty. */
export function cookieOf(ctx: Context, name: string): string | undefined {
  return ctx.cookies.get(name, { signed: false }) || undefined;
}

/**
 * The cookie's value if the signature beside it holds. Unlike `ctx.cookies.get`, which clears and
 * re-issues signatures, it only looks.
 */
export function verifiedCookie(
  ctx: Context,
  name: string,
  keys: CookieKeys | undefined = (ctx.cookies as { keys?: CookieKeys }).keys,
): string | undefined {
  const value = cookieOf(ctx, name);
  const signature = cookieOf(ctx, `${name}.sig`);
  if (keys === undefined || value === undefined || signature === undefined) return undefined;
  return isSignedBy(keys, `${name}=${value}`, signature) ? value : undefined;
}

// Most cookies are signed by the first key, and to sign is far cheaper than Keygrip's own comparison.
function isSignedBy(keys: CookieKeys, signed: string, signature: string): boolean {
  const expected = Buffer.from(keys.sign(signed));
  const given = Buffer.from(signature);
  if (expected.length === given.length && timingSafeEqual(expected, given)) return true;
  return keys.verify(signed, signature);
}

/**
 * A lifetime that the application gave one session, in seconds; null for the configured one.
 *
 * @param maxAge in milliseconds, like `configured`
 */
export function ownMaxAgeInSeconds(maxAge: unknown, configured: unknown): number | null {
  const isOwn = typeof maxAge === "number" && maxAge > 0 && maxAge !== configured;
  return isOwn ? Math.min(Math.ceil(maxAge / 1000), maximumLifetimeInSeconds) : null;
}

/** A lifetime in milliseconds as whole seconds, rounded up; undefined for anything but a lifetime. */
export function lifetimeInSeconds(milliseconds: unknown): number | undefined {
  const isLifetime = typeof milliseconds === "number" && milliseconds > 0;
  return isLifetime && Number.isFinite(milliseconds) ? Math.ceil(milliseconds / 1000) : undefined;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import type { RingKey } from "../../tokens/keys.js";

/** How long a confirmation stays good after it was shown. */
export const formTokenMaxAgeInSeconds = 15 * 60;

const secondsOf = (date: Date) => Math.floor(date.getTime() / 1000);

/**
 * Proves that this very form was shown to its sender lately, in any process that has the same signing keys
 * (HMAC-SHA-256 under a key of its own, derived by HKDF).
 *
 * @param claims what the form is about, and whose it is
 */
export function issueFormToken(
  keys: readonly RingKey[],
  claims: readonly string[],
  now: Date,
): string {
  const expiresAt = secondsOf(now) + formTokenMaxAgeInSeconds;
  const key = keys.find(({ sealingKey }) => sealingKey !== undefined);
  if (key === undefined) throw new TypeError("the first signing key must be a private key");
  return `${expiresAt}.${sign(key, expiresAt, claims)?.toString("base64url")}`;
}

/** Whether a token belongs to these claims, is ours, and not too old. */
export function verifyFormToken(
  keys: readonly RingKey[],
  claims: readonly string[],
  token: string,
  now: Date,
): boolean {
  const [, expiry = "", signature = ""] = /^(\d{1,12})\.([\w-]{43})$/.exec(token) ?? [];
  const expiresAt = Number(expiry);
  if (expiresAt <= secondsOf(now)) return false;
  const given = Buffer.from(signature, "base64url");
  return keys.some((key) => {
    const expected = sign(key, expiresAt, claims);
    return expected?.length === given.length && timingSafeEqual(expected, given);
  });
}

function sign({ sealingKey }: RingKey, expiresAt: number, claims: readonly string[]) {
  if (sealingKey === undefined) return undefined;
  const key = hkdfSync("sha256", sealingKey, "", "koa-session-bridge dashboard form", 32);
  return createHmac("sha256", Buffer.from(key))
    .update(JSON.stringify([expiresAt, ...claims]))
    .digest();
}

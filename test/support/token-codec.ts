import { SignJWT } from "jose";
import { createTokenCodec, type TokenFormat } from "../../src/tokens/jwt.js";
import { importSigningKey } from "../../src/tokens/keys.js";

export const secret = "a secret of at least thirty-two bytes";
export const hs256 = importSigningKey({ kid: "hs", alg: "HS256", key: secret });

/** Signs and verifies with `hs256`, unless told otherwise. */
export const codecOf = (format: Partial<TokenFormat> = {}) =>
  createTokenCodec({
    keys: [hs256],
    issuer: undefined,
    audience: undefined,
    compas: false,
    ...format,
  });

export const sessionId = "00000000-0000-4000-8000-000000000001";
export const issuedAt = 1_800_000_000;
export const pair = {
  accessToken: "00000000-0000-4000-8000-00000000000a",
  refreshToken: "00000000-0000-4000-8000-00000000000b",
  issuedAt,
  accessTokenExpiresAt: issuedAt + 900,
  refreshTokenExpiresAt: issuedAt + 3600,
};
export const at = (seconds: number) => new Date((issuedAt + seconds) * 1000);

/** A token of a kind of its own making: a valid access token of `pair`, but for `header` and `claims`. */
export function forge(key: Uint8Array, header: object = {}, claims: object = {}): Promise<string> {
  return new SignJWT({ jti: pair.accessToken, iat: issuedAt, exp: issuedAt + 900, ...claims })
    .setProtectedHeader({ alg: "HS256", kid: "hs", typ: "at+jwt", ...header })
    .sign(key, "crit" in header ? { crit: { x: true } } : {});
}

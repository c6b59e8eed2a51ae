import { generateKeyPairSync } from "node:crypto";
import { decodeJwt, decodeProtectedHeader, SignJWT, UnsecuredJWT } from "jose";
import { describe, expect, test } from "vitest";
import { createTokenCodec, type TokenFormat } from "../../src/tokens/jwt.js";
import { importSigningKey } from "../../src/tokens/keys.js";

const secret = "a secret of at least thirty-two bytes";
const hs256 = importSigningKey({ kid: "hs", alg: "HS256", key: secret });
const esKey = generateKeyPairSync("ec", { namedCurve: "P-256" });
const es256 = importSigningKey({ kid: "es", alg: "ES256", key: esKey.privateKey });
const edDsa = importSigningKey({
  kid: "ed",
  alg: "EdDSA",
  key: generateKeyPairSync("ed25519").privateKey,
});
const codecOf = (format: Partial<TokenFormat> = {}) =>
  createTokenCodec({
    keys: [hs256],
    issuer: undefined,
    audience: undefined,
    compas: false,
    ...format,
  });

const sessionId = "00000000-0000-4000-8000-000000000001";
const issuedAt = 1_800_000_000;
const pair = {
  accessToken: "00000000-0000-4000-8000-00000000000a",
  refreshToken: "00000000-0000-4000-8000-00000000000b",
  issuedAt,
  accessTokenExpiresAt: issuedAt + 900,
  refreshTokenExpiresAt: issuedAt + 3600,
};
const at = (seconds: number) => new Date((issuedAt + seconds) * 1000);

describe("a pair", () => {
  test("identifies rows and carries no session data", async () => {
    const tokens = await codecOf({ issuer: "me", audience: "you" }).signPair(sessionId, pair);
    expect(decodeProtectedHeader(tokens.accessToken)).toEqual({
      alg: "HS256",
      kid: "hs",
      typ: "at+jwt",
    });
    expect(decodeProtectedHeader(tokens.refreshToken)["typ"]).toBe("rt+jwt");
    expect(decodeJwt(tokens.accessToken)).toEqual({
      jti: pair.accessToken,
      sid: sessionId,
      iat: issuedAt,
      exp: pair.accessTokenExpiresAt,
      iss: "me",
      aud: "you",
    });
    expect(decodeJwt(tokens.refreshToken)["jti"]).toBe(pair.refreshToken);
    expect(tokens).toMatchObject({
      sessionId,
      accessTokenExpiresAt: at(900),
      refreshTokenExpiresAt: at(3600),
    });
  });

  test("is the same strings from the same record, with HS256 and EdDSA", async () => {
    for (const key of [hs256, edDsa]) {
      const codec = codecOf({ keys: [key] });
      expect(await codec.signPair(sessionId, pair)).toEqual(await codec.signPair(sessionId, pair));
    }
  });

  for (const key of [hs256, es256, edDsa]) {
    test(`signed with ${key.alg} is valid from first to last second, each token in its place`, async () => {
      const codec = codecOf({ keys: [key] });
      const { accessToken, refreshToken } = await codec.signPair(sessionId, pair);
      expect(await codec.verifyAccessToken(accessToken, at(0))).toBe(pair.accessToken);
      expect(await codec.verifyAccessToken(accessToken, at(899))).toBe(pair.accessToken);
      expect(await codec.verifyAccessToken(accessToken, at(900))).toBeUndefined();
      expect(await codec.verifyRefreshToken(refreshToken, at(3599))).toBe(pair.refreshToken);
      expect(await codec.verifyRefreshToken(refreshToken, at(3600))).toBeUndefined();
      expect(await codec.verifyAccessToken(refreshToken, at(0))).toBeUndefined();
      expect(await codec.verifyRefreshToken(accessToken, at(0))).toBeUndefined();
    });
  }
});

describe("the ring", () => {
  test("signs with the first key, verifies with any", async () => {
    const before = await codecOf({ keys: [hs256] }).signPair(sessionId, pair);
    const rotated = codecOf({ keys: [es256, hs256, edDsa] });
    const after = await rotated.signPair(sessionId, pair);
    expect(decodeProtectedHeader(after.accessToken).kid).toBe("es");
    for (const { accessToken } of [before, after]) {
      expect(await rotated.verifyAccessToken(accessToken, at(0))).toBe(pair.accessToken);
    }
    const dropped = codecOf({ keys: [es256] });
    expect(await dropped.verifyAccessToken(before.accessToken, at(0))).toBeUndefined();
  });

  test("a header picks a key, never an algorithm for it", async () => {
    const codec = codecOf({ keys: [es256, hs256] });
    // The classic: the public key as the secret of an HMAC.
    const publicPem = esKey.publicKey.export({ type: "spki", format: "pem" }) as string;
    const confused = await forge(new TextEncoder().encode(publicPem), { kid: "es", alg: "HS256" });
    expect(await codec.verifyAccessToken(confused, at(0))).toBeUndefined();
    const crossed = await forge(new TextEncoder().encode(secret), { kid: "es", alg: "HS256" });
    expect(await codec.verifyAccessToken(crossed, at(0))).toBeUndefined();
    const none = new UnsecuredJWT({ jti: pair.accessToken })
      .setExpirationTime(issuedAt + 9)
      .encode();
    expect(await codec.verifyAccessToken(none, at(0))).toBeUndefined();
  });

  test("a public key alone verifies what its private half signed", async () => {
    const { accessToken } = await codecOf({ keys: [es256] }).signPair(sessionId, pair);
    const verifier = importSigningKey({ kid: "es", alg: "ES256", key: esKey.publicKey });
    const codec = codecOf({ keys: [hs256, verifier] });
    expect(await codec.verifyAccessToken(accessToken, at(0))).toBe(pair.accessToken);
    await expect(codecOf({ keys: [verifier] }).signPair(sessionId, pair)).rejects.toThrow(
      "private",
    );
  });
});

describe("is not valid:", () => {
  const key = new TextEncoder().encode(secret);
  const cases: Record<string, () => Promise<string>> = {
    "without an expiry": () => forge(key, {}, { exp: undefined }),
    "without an id": () => forge(key, {}, { jti: undefined }),
    "with an id that is no UUID": () => forge(key, {}, { jti: "1; drop table" }),
    "before it begins": () => forge(key, {}, { nbf: issuedAt + 100 }),
    "of no type": () => forge(key, { typ: undefined }),
    "of the plain type without compas": () => forge(key, { typ: "JWT", kid: undefined }),
    "of an unknown key": () => forge(key, { kid: "unknown" }),
    "with a critical extension": () => forge(key, { crit: ["x"], x: 1 }),
    "longer than any of ours": () => forge(key, {}, { padding: "x".repeat(4096) }),
    "no token": () => Promise.resolve("no token"),
    "the empty string": () => Promise.resolve(""),
  };
  for (const [what, make] of Object.entries(cases)) {
    test(what, async () => {
      expect(await codecOf().verifyAccessToken(await make(), at(0))).toBeUndefined();
    });
  }

  test("but what these are made of is valid", async () => {
    expect(await codecOf().verifyAccessToken(await forge(key), at(0))).toBe(pair.accessToken);
  });
});

describe("with compas", () => {
  const compas = codecOf({ compas: true });
  const key = new TextEncoder().encode(secret);

  test("tokens carry the claims that @compas/store reads", async () => {
    const { accessToken, refreshToken } = await compas.signPair(sessionId, pair);
    expect(decodeJwt(accessToken)["compasSessionAccessToken"]).toBe(pair.accessToken);
    expect(decodeJwt(refreshToken)["compasSessionRefreshToken"]).toBe(pair.refreshToken);
    expect(decodeProtectedHeader(accessToken).alg).toBe("HS256");
  });

  test("tokens that @compas/store made are accepted, each in its place", async () => {
    const header = { typ: "JWT", kid: undefined };
    const accessClaims = { jti: undefined, compasSessionAccessToken: pair.accessToken };
    const refreshClaims = { jti: undefined, compasSessionRefreshToken: pair.refreshToken };
    const access = await forge(key, header, accessClaims);
    const refresh = await forge(key, header, refreshClaims);
    expect(await compas.verifyAccessToken(access, at(0))).toBe(pair.accessToken);
    expect(await compas.verifyRefreshToken(refresh, at(0))).toBe(pair.refreshToken);
    expect(await compas.verifyAccessToken(refresh, at(0))).toBeUndefined();
    expect(await compas.verifyRefreshToken(access, at(0))).toBeUndefined();
    expect(await codecOf().verifyAccessToken(access, at(0))).toBeUndefined();
    expect(await compas.verifyAccessToken(access, at(1000))).toBeUndefined();
  });
});

function forge(key: Uint8Array, header: object = {}, claims: object = {}): Promise<string> {
  return new SignJWT({ jti: pair.accessToken, iat: issuedAt, exp: issuedAt + 900, ...claims })
    .setProtectedHeader({ alg: "HS256", kid: "hs", typ: "at+jwt", ...header })
    .sign(key, "crit" in header ? { crit: { x: true } } : {});
}

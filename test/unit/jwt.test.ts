import { generateKeyPairSync } from "node:crypto";
import { decodeJwt, decodeProtectedHeader, UnsecuredJWT } from "jose";
import { describe, expect, test } from "vitest";
import { readBearerToken } from "../../src/common-options.js";
import { importSigningKey } from "../../src/tokens/keys.js";
import { heapInUse } from "../support/heap.js";
import {
  at,
  codecOf,
  forge,
  hs256,
  issuedAt,
  pair,
  secret,
  sessionId,
} from "../support/token-codec.js";

const esKey = generateKeyPairSync("ec", { namedCurve: "P-256" });
const es256 = importSigningKey({ kid: "es", alg: "ES256", key: esKey.privateKey });
const edDsa = importSigningKey({
  kid: "ed",
  alg: "EdDSA",
  key: generateKeyPairSync("ed25519").privateKey,
});

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
      expect((await codec.verifyAccessToken(accessToken, at(0))).tokenId).toBe(pair.accessToken);
      expect((await codec.verifyAccessToken(accessToken, at(899))).tokenId).toBe(pair.accessToken);
      expect((await codec.verifyAccessToken(accessToken, at(900))).tokenId).toBeUndefined();
      expect((await codec.verifyRefreshToken(refreshToken, at(3599))).tokenId).toBe(
        pair.refreshToken,
      );
      expect((await codec.verifyRefreshToken(refreshToken, at(3600))).tokenId).toBeUndefined();
      expect((await codec.verifyAccessToken(refreshToken, at(0))).tokenId).toBeUndefined();
      expect((await codec.verifyRefreshToken(accessToken, at(0))).tokenId).toBeUndefined();
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
      expect((await rotated.verifyAccessToken(accessToken, at(0))).tokenId).toBe(pair.accessToken);
    }
    const dropped = codecOf({ keys: [es256] });
    expect((await dropped.verifyAccessToken(before.accessToken, at(0))).tokenId).toBeUndefined();
  });

  test("a header picks a key, never an algorithm for it", async () => {
    const codec = codecOf({ keys: [es256, hs256] });
    // The classic: the public key as the secret of an HMAC.
    const publicPem = esKey.publicKey.export({ type: "spki", format: "pem" }) as string;
    const confused = await forge(new TextEncoder().encode(publicPem), { kid: "es", alg: "HS256" });
    expect((await codec.verifyAccessToken(confused, at(0))).tokenId).toBeUndefined();
    const crossed = await forge(new TextEncoder().encode(secret), { kid: "es", alg: "HS256" });
    expect((await codec.verifyAccessToken(crossed, at(0))).tokenId).toBeUndefined();
    const none = new UnsecuredJWT({ jti: pair.accessToken })
      .setExpirationTime(issuedAt + 9)
      .encode();
    expect((await codec.verifyAccessToken(none, at(0))).tokenId).toBeUndefined();
  });

  test("a public key alone verifies what its private half signed", async () => {
    const { accessToken } = await codecOf({ keys: [es256] }).signPair(sessionId, pair);
    const verifier = importSigningKey({ kid: "es", alg: "ES256", key: esKey.publicKey });
    const codec = codecOf({ keys: [hs256, verifier] });
    expect((await codec.verifyAccessToken(accessToken, at(0))).tokenId).toBe(pair.accessToken);
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
      expect((await codecOf().verifyAccessToken(await make(), at(0))).tokenId).toBeUndefined();
    });
  }

  test("but what these are made of is valid", async () => {
    expect((await codecOf().verifyAccessToken(await forge(key), at(0))).tokenId).toBe(
      pair.accessToken,
    );
  });
});

describe("a token that was verified before", () => {
  test("is refused once it has expired, and when any of its characters is another", async () => {
    const codec = codecOf();
    const { accessToken } = await codec.signPair(sessionId, pair);
    expect(await codec.verifyAccessToken(accessToken, at(0))).toMatchObject({
      tokenId: pair.accessToken,
    });
    expect(await codec.verifyAccessToken(accessToken, at(899))).toMatchObject({
      tokenId: pair.accessToken,
    });
    expect(await codec.verifyAccessToken(accessToken, at(900))).toEqual({ refusal: "expired" });
    expect(await codec.verifyRefreshToken(accessToken, at(0))).toEqual({ refusal: "unverified" });
    const end = accessToken.endsWith("A") ? "B" : "A";
    for (const other of [
      `${accessToken.slice(0, -2)}${end}${accessToken.at(-1)}`,
      `${accessToken}A`,
    ])
      expect(await codec.verifyAccessToken(other, at(0))).toEqual({ refusal: "unverified" });
  });

  test("is refused by a ring that its key has left", async () => {
    const rotated = codecOf({ keys: [es256] });
    const { accessToken } = await codecOf().signPair(sessionId, pair);
    const both = codecOf({ keys: [es256, hs256] });
    expect(await both.verifyAccessToken(accessToken, at(0))).toMatchObject({
      tokenId: pair.accessToken,
    });
    expect(await rotated.verifyAccessToken(accessToken, at(0))).toEqual({ refusal: "unverified" });
  });

  test("keeps neither the header that it came in nor other ways to write it", async () => {
    const codec = codecOf();
    const { accessToken } = await codec.signPair(sessionId, pair);
    async function growth(write: (index: number) => string | Promise<string>) {
      const before = heapInUse();
      for (let index = 0; index < 1000; index += 1) {
        const padding = " ".repeat(8000);
        const header = Buffer.from(`Bearer${padding}${await write(index)}`).toString();
        const token = readBearerToken({ get: () => header } as never)!;
        expect((await codec.verifyAccessToken(token, at(0))).tokenId).toBe(pair.accessToken);
      }
      return heapInUse() - before;
    }
    const key = new TextEncoder().encode(secret);
    expect(await growth((index) => forge(key, {}, { index }))).toBeLessThan(3e6);
    const padded = (index: number) => `${accessToken}${" ".repeat(1500 + index)}=`;
    expect(await growth(padded)).toBeLessThan(1e6);
  });
});

import { generateKeyPairSync } from "node:crypto";
import { decodeJwt, decodeProtectedHeader, SignJWT } from "jose";
import { describe, expect, test } from "vitest";
import { importSigningKey } from "../../src/tokens/keys.js";
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
const encoded = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");

describe("with compas", () => {
  const compas = codecOf({ compas: true });
  const key = new TextEncoder().encode(secret);

  test("tokens carry the claims that @compas/store reads, and the only type that it does", async () => {
    const { accessToken, refreshToken } = await compas.signPair(sessionId, pair);
    expect(decodeJwt(accessToken)["compasSessionAccessToken"]).toBe(pair.accessToken);
    expect(decodeJwt(refreshToken)["compasSessionRefreshToken"]).toBe(pair.refreshToken);
    for (const token of [accessToken, refreshToken]) {
      expect(decodeProtectedHeader(token)).toEqual({ alg: "HS256", kid: "hs", typ: "JWT" });
    }
  });

  test("and they stay good once it is turned off, each in its place, with issuer and audience", async () => {
    const named = { issuer: "me", audience: "you" };
    const tokens = await codecOf({ compas: true, ...named }).signPair(sessionId, pair);
    for (const on of [true, false]) {
      const codec = codecOf({ compas: on, ...named });
      expect((await codec.verifyAccessToken(tokens.accessToken, at(0))).tokenId).toBe(
        pair.accessToken,
      );
      expect((await codec.verifyRefreshToken(tokens.refreshToken, at(0))).tokenId).toBe(
        pair.refreshToken,
      );
      expect((await codec.verifyAccessToken(tokens.refreshToken, at(0))).tokenId).toBeUndefined();
      expect((await codec.verifyRefreshToken(tokens.accessToken, at(0))).tokenId).toBeUndefined();
      expect((await codec.verifyAccessToken(tokens.accessToken, at(900))).tokenId).toBeUndefined();
      const elsewhere = codecOf({ compas: on, ...named, audience: "others" });
      expect(
        (await elsewhere.verifyAccessToken(tokens.accessToken, at(0))).tokenId,
      ).toBeUndefined();
    }
  });

  test("tokens of before it was turned on stay good", async () => {
    const { accessToken, refreshToken } = await codecOf().signPair(sessionId, pair);
    expect((await compas.verifyAccessToken(accessToken, at(0))).tokenId).toBe(pair.accessToken);
    expect((await compas.verifyRefreshToken(refreshToken, at(0))).tokenId).toBe(pair.refreshToken);
  });

  test("tokens that @compas/store made are accepted, each in its place", async () => {
    const header = { typ: "JWT", kid: undefined };
    const accessClaims = { jti: undefined, compasSessionAccessToken: pair.accessToken };
    const refreshClaims = { jti: undefined, compasSessionRefreshToken: pair.refreshToken };
    const access = await forge(key, header, accessClaims);
    const refresh = await forge(key, header, refreshClaims);
    expect((await compas.verifyAccessToken(access, at(0))).tokenId).toBe(pair.accessToken);
    expect((await compas.verifyRefreshToken(refresh, at(0))).tokenId).toBe(pair.refreshToken);
    expect((await compas.verifyAccessToken(refresh, at(0))).tokenId).toBeUndefined();
    expect((await compas.verifyRefreshToken(access, at(0))).tokenId).toBeUndefined();
    expect((await codecOf().verifyAccessToken(access, at(0))).tokenId).toBeUndefined();
    expect((await compas.verifyAccessToken(access, at(1000))).tokenId).toBeUndefined();
  });

  describe("is not valid:", () => {
    const claims = { jti: undefined, compasSessionAccessToken: pair.accessToken };
    const plain = { typ: "JWT", kid: undefined };
    const cases: Record<string, () => Promise<string>> = {
      "without an expiry": () => forge(key, plain, { ...claims, exp: undefined }),
      "without a claim of Compas": () => forge(key, plain, { jti: pair.accessToken }),
      "with a claim that is no UUID": () =>
        forge(key, plain, { compasSessionAccessToken: "1; drop table" }),
      "with a claim that is no text": () => forge(key, plain, { compasSessionAccessToken: [1] }),
      "by another secret": () => forge(new TextEncoder().encode("b".repeat(32)), plain, claims),
      "unsigned, as alg none": () =>
        Promise.resolve(
          `${encoded({ alg: "none", typ: "JWT" })}.${encoded({ ...claims, exp: issuedAt + 9 })}.`,
        ),
      "with the secret as an RS256 key": async () => {
        const [, ...rest] = (await forge(key, plain, claims)).split(".");
        return [encoded({ alg: "RS256", typ: "JWT" }), ...rest].join(".");
      },
      "of an unknown key": () =>
        forge(key, { typ: "JWT", kid: "unknown" }, { compasSessionAccessToken: pair.accessToken }),
      "named ours, by its jti alone": () => forge(key, { typ: "JWT" }),
      "named ours, of two ids": () =>
        forge(key, { typ: "JWT" }, { compasSessionAccessToken: pair.refreshToken }),
    };
    for (const [what, make] of Object.entries(cases)) {
      test(what, async () => {
        expect((await compas.verifyAccessToken(await make(), at(0))).tokenId).toBeUndefined();
      });
    }

    test("but what these are made of is valid, also with claims that nobody asked for", async () => {
      const token = await forge(key, plain, { ...claims, aud: "others", name: "x" });
      expect((await compas.verifyAccessToken(token, at(0))).tokenId).toBe(pair.accessToken);
      const own = { compasSessionAccessToken: pair.accessToken };
      const named = await forge(key, { typ: "JWT" }, own);
      expect((await compas.verifyAccessToken(named, at(0))).tokenId).toBe(pair.accessToken);
    });

    test("signed by another algorithm's key of the ring", async () => {
      const ring = codecOf({ compas: true, keys: [hs256, es256] });
      const token = await new SignJWT({
        exp: issuedAt + 900,
        compasSessionAccessToken: pair.accessToken,
      })
        .setProtectedHeader({ alg: "ES256", typ: "JWT" })
        .sign(esKey.privateKey);
      expect((await ring.verifyAccessToken(token, at(0))).tokenId).toBeUndefined();
    });
  });
});

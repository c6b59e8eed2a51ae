import {
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  jwtVerify,
  type ProtectedHeaderParameters,
  SignJWT,
} from "jose";
import type { AtOnce } from "../at-once.js";
import { BoundedMap } from "../bounded-map.js";
import type { PairRecord } from "../store/token-pair.js";
import { isUuid } from "../store/uuid.js";
import type { RingKey } from "./keys.js";

/** An access and a refresh token, as strings to hand to the client. */
export interface TokenPair {
  readonly sessionId: string;
  readonly accessToken: string;
  readonly accessTokenExpiresAt: Date;
  readonly refreshToken: string;
  readonly refreshTokenExpiresAt: Date;
}

interface Kind {
  readonly typ: "at+jwt" | "rt+jwt";
  readonly compasClaim: "compasSessionAccessToken" | "compasSessionRefreshToken";
}

const access: Kind = { typ: "at+jwt", compasClaim: "compasSessionAccessToken" };
const refresh: Kind = { typ: "rt+jwt", compasClaim: "compasSessionRefreshToken" };

// @compas/store leaves the payload of any other type unparsed (jws 4.0.0, `decode`), so that what the type
// says of a token's kind is said by Compas's claim instead.
const compasTyp = "JWT";

export interface TokenFormat {
  readonly keys: readonly RingKey[];
  readonly issuer: string | undefined;
  readonly audience: string | undefined;
  readonly compas: boolean;
}

interface VerifiedToken {
  /** The id of its row. */
  readonly tokenId: string;
  /** Seconds since the epoch. */
  readonly expiresAt: number;
}

/** What a verified token says, or why it is refused. */
export type Verified =
  | (VerifiedToken & { readonly refusal?: undefined })
  | { readonly tokenId?: undefined; readonly refusal: "unverified" | "expired" };

const unverified: Verified = { refusal: "unverified" };

// Of an HS256 token about 500 bytes each.
const maximumVerifiedTokens = 20_000;

/** Signs and verifies the two kinds of token. They identify rows; they carry no session data. */
export interface TokenCodec {
  signPair(sessionId: string, pair: PairRecord): Promise<TokenPair>;
  /** Anything that is not a valid access token at `now` is refused; one that is known is told at once. */
  verifyAccessToken(token: string, now: Date): AtOnce<Verified>;
  /** Anything that is not a valid refresh token at `now` is refused. */
  verifyRefreshToken(token: string, now: Date): Promise<Verified>;
}

export function createTokenCodec(format: TokenFormat): TokenCodec {
  const { keys, issuer, audience, compas } = format;
  // By the exact string, and none that was refused, so that nobody can fill it with made-up ones.
  const verifiedTokens = new BoundedMap<string, VerifiedToken>(maximumVerifiedTokens);

  async function sign(
    kind: Kind,
    sessionId: string,
    tokenId: string,
    issuedAt: number,
    expiresAt: number,
  ): Promise<string> {
    const [signer] = keys;
    if (signer?.signKey === undefined) throw new Error("the first signing key is not private");
    const claims = compas ? { sid: sessionId, [kind.compasClaim]: tokenId } : { sid: sessionId };
    const typ = compas ? compasTyp : kind.typ;
    const jwt = new SignJWT(claims)
      .setProtectedHeader({ alg: signer.alg, kid: signer.kid, typ })
      .setJti(tokenId)
      .setIssuedAt(issuedAt)
      .setExpirationTime(expiresAt);
    if (issuer !== undefined) jwt.setIssuer(issuer);
    if (audience !== undefined) jwt.setAudience(audience);
    return jwt.sign(await signer.signKey);
  }

  // The key fixes the algorithm: a header can pick a key, never an algorithm for it.
  async function verifyWith(key: RingKey, token: string, now: Date, own: boolean) {
    const { payload } = await jwtVerify(token, await key.verifyKey, {
      algorithms: [key.alg],
      currentDate: now,
      requiredClaims: ["exp"],
      ...(own && issuer !== undefined && { issuer }),
      ...(own && audience !== undefined && { audience }),
    });
    return payload;
  }

  async function verify(kind: Kind, token: string, now: Date): Promise<Verified> {
    const header = readHeader(token);
    const origin = header && originOf(header, kind);
    if (header === undefined || origin === undefined) return unverified;
    const own = origin !== "compas";
    if (!own && !compas) return unverified;
    const candidates = own
      ? keys.filter(({ kid }) => kid === header.kid)
      : keys.filter(({ alg }) => alg === "HS256");
    for (const key of candidates) {
      try {
        const payload = await verifyWith(key, token, now, own);
        const tokenId = tokenIdIn(payload, kind, origin);
        const { exp } = payload;
        if (typeof tokenId !== "string" || !isUuid(tokenId) || exp === undefined) return unverified;
        return { tokenId, expiresAt: exp };
      } catch (error) {
        if (!(error instanceof errors.JOSEError)) throw error;
        // Its signature holds.
        if (error instanceof errors.JWTExpired) return { refusal: "expired" };
      }
    }
    return unverified;
  }

  async function verifyAndKeep(token: string, now: Date): Promise<Verified> {
    const verified = await verify(access, token, now);
    if (verified.refusal === undefined && isCanonical(token)) {
      verifiedTokens.set(copyOf(token), verified);
    }
    return verified;
  }

  return {
    async signPair(sessionId, pair) {
      const { issuedAt, accessTokenExpiresAt, refreshTokenExpiresAt } = pair;
      const [accessToken, refreshToken] = await Promise.all([
        sign(access, sessionId, pair.accessToken, issuedAt, accessTokenExpiresAt),
        sign(refresh, sessionId, pair.refreshToken, issuedAt, refreshTokenExpiresAt),
      ]);
      return {
        sessionId,
        accessToken,
        accessTokenExpiresAt: new Date(accessTokenExpiresAt * 1000),
        refreshToken,
        refreshTokenExpiresAt: new Date(refreshTokenExpiresAt * 1000),
      };
    },
    verifyAccessToken(token, now) {
      const known = verifiedTokens.get(token);
      const isLive = known !== undefined && known.expiresAt * 1000 > now.getTime();
      return isLive ? known : verifyAndKeep(token, now);
    },
    verifyRefreshToken: (token, now) => verify(refresh, token, now),
  };
}

/** Who issued a token: we, we for Compas to read as well, or Compas, whose only key needs no name. */
type Origin = "typed" | "shared" | "compas";

function originOf({ typ, kid }: ProtectedHeaderParameters, kind: Kind): Origin | undefined {
  if (typ === kind.typ) return "typed";
  if (typ !== compasTyp) return undefined;
  return kid === undefined ? "compas" : "shared";
}

// A shared token is good whatever `compas` says by now: turning it off logs nobody out.
function tokenIdIn(payload: JWTPayload, kind: Kind, origin: Origin): unknown {
  if (origin === "typed") return payload.jti;
  const claimed = payload[kind.compasClaim];
  return origin === "compas" || claimed === payload.jti ? claimed : undefined;
}

// With blanks in between, or padding, one token could be written in any number of ways.
const isCanonical = (token: string) => /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token);

// As part of a header it would keep the whole header in memory.
const copyOf = (token: string) => Buffer.from(token, "latin1").toString("latin1");

// Longer than any token of ours; keeps an attacker from having us decode megabytes.
const maximumTokenLength = 4096;

function readHeader(token: string): ProtectedHeaderParameters | undefined {
  if (token.length > maximumTokenLength) return undefined;
  try {
    return decodeProtectedHeader(token);
  } catch {
    return undefined;
  }
}

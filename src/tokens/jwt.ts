import {
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  jwtVerify,
  type ProtectedHeaderParameters,
  SignJWT,
} from "jose";
import type { PairRecord } from "../store/token-pair.js";
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

export interface TokenFormat {
  readonly keys: readonly RingKey[];
  readonly issuer: string | undefined;
  readonly audience: string | undefined;
  readonly compas: boolean;
}

/** Signs and verifies the two kinds of token. They identify rows; they carry no session data. */
export interface TokenCodec {
  signPair(sessionId: string, pair: PairRecord): Promise<TokenPair>;
  /** The access token's row id; undefined for anything that is not a valid access token at `now`. */
  verifyAccessToken(token: string, now: Date): Promise<string | undefined>;
  /** The refresh token's row id; undefined for anything that is not a valid refresh token at `now`. */
  verifyRefreshToken(token: string, now: Date): Promise<string | undefined>;
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export function createTokenCodec(format: TokenFormat): TokenCodec {
  const { keys, issuer, audience, compas } = format;

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
    const jwt = new SignJWT(claims)
      .setProtectedHeader({ alg: signer.alg, kid: signer.kid, typ: kind.typ })
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

  async function verify(kind: Kind, token: string, now: Date): Promise<string | undefined> {
    const header = readHeader(token);
    if (header === undefined) return undefined;
    const own = header.typ === kind.typ;
    if (!own && !(compas && header.typ === "JWT" && header.kid === undefined)) return undefined;
    const candidates = own
      ? keys.filter(({ kid }) => kid === header.kid)
      : keys.filter(({ alg }) => alg === "HS256");
    for (const key of candidates) {
      try {
        const payload: JWTPayload = await verifyWith(key, token, now, own);
        const tokenId = own ? payload.jti : payload[kind.compasClaim];
        return typeof tokenId === "string" && uuid.test(tokenId) ? tokenId : undefined;
      } catch (error) {
        if (!(error instanceof errors.JOSEError)) throw error;
      }
    }
    return undefined;
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
    verifyAccessToken: (token, now) => verify(access, token, now),
    verifyRefreshToken: (token, now) => verify(refresh, token, now),
  };
}

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

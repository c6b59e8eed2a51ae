import { BoundedMap } from "../bounded-map.js";
import type { PairRecord } from "../store/token-pair.js";
import type { TokenCodec, TokenPair } from "../tokens/jwt.js";

/** Signs the pair that is on offer to the client of a cookie. */
export type OfferSigner = (sessionId: string, offer: PairRecord) => Promise<TokenPair>;

// About a kilobyte each.
export const maximumSignedOffers = 10_000;

/**
 * The same pair goes out with every response until it is adopted, and to sign it costs more than all the
 * rest: so it is remembered, until the offer is renewed. What is remembered opens nothing by itself; whether
 * there still is an offer is for the caller to look up.
 */
export function createOfferSigner(codec: Pick<TokenCodec, "signPair">): OfferSigner {
  const signed = new BoundedMap<string, { readonly offer: PairRecord; readonly pair: TokenPair }>(
    maximumSignedOffers,
  );

  return async (sessionId, offer) => {
    const known = signed.get(offer.accessToken);
    if (known !== undefined && isSame(known.offer, offer)) return known.pair;
    const pair = await codec.signPair(sessionId, offer);
    signed.set(offer.accessToken, { offer, pair });
    return pair;
  };
}

const isSame = (a: PairRecord, b: PairRecord) =>
  a.refreshToken === b.refreshToken &&
  a.issuedAt === b.issuedAt &&
  a.accessTokenExpiresAt === b.accessTokenExpiresAt &&
  a.refreshTokenExpiresAt === b.refreshTokenExpiresAt;

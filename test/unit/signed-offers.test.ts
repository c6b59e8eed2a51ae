import { expect, test } from "vitest";
import { createOfferSigner, maximumSignedOffers } from "../../src/legacy/signed-offers.js";
import type { PairRecord } from "../../src/store/token-pair.js";

const offer = (number: number, issuedAt = 1000): PairRecord => ({
  accessToken: `access ${number}`,
  refreshToken: `refresh ${number}`,
  issuedAt,
  accessTokenExpiresAt: issuedAt + 900,
  refreshTokenExpiresAt: issuedAt + 9000,
});

/** A signer that says how often it has signed. */
function counting() {
  let count = 0;
  const sign = createOfferSigner({
    signPair: (sessionId, pair) => {
      count += 1;
      return Promise.resolve({
        sessionId,
        accessToken: JSON.stringify(pair),
        accessTokenExpiresAt: new Date(pair.accessTokenExpiresAt * 1000),
        refreshToken: JSON.stringify(pair),
        refreshTokenExpiresAt: new Date(pair.refreshTokenExpiresAt * 1000),
      });
    },
  });
  return { sign, count: () => count };
}

test("an offer is signed once while it stands, and anew when it is renewed", async () => {
  const { sign, count } = counting();
  const first = await sign("session", offer(1));
  expect(await sign("session", { ...offer(1) })).toEqual(first);
  expect(count()).toBe(1);

  const renewed = await sign("session", offer(1, 2000));
  expect(renewed.accessToken).toBe(JSON.stringify(offer(1, 2000)));
  expect(await sign("session", offer(1, 2000))).toEqual(renewed);
  expect(count()).toBe(2);
});

test.each(["refreshToken", "issuedAt", "accessTokenExpiresAt", "refreshTokenExpiresAt"] as const)(
  "an offer with another %s is another one",
  async (name) => {
    const { sign, count } = counting();
    await sign("session", offer(1));
    await sign("session", { ...offer(1), [name]: offer(2, 2000)[name] });
    expect(count()).toBe(2);
  },
);

test("the oldest is forgotten when there are too many", async () => {
  const { sign, count } = counting();
  const numbers = Array.from({ length: maximumSignedOffers + 1 }, (_, number) => number);
  for (const number of numbers) await sign("session", offer(number));
  await sign("session", offer(maximumSignedOffers - 1));
  expect(count()).toBe(maximumSignedOffers + 1);
  await sign("session", offer(0));
  expect(count()).toBe(maximumSignedOffers + 2);
});

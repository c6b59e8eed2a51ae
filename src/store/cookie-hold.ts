/**
 * SQL: when the legacy cookie of a session ends. One without an expiry counts 400 days from its last
 * change, the longest that browsers keep a cookie (RFC 6265bis section 5.5).
 */
export const cookieEnd = (expiresAt: string, now: string) =>
  `coalesce(${expiresAt}::timestamptz, ${now}::timestamptz + interval '400 days')`;

/**
 * SQL: keeps the row of the refresh token on offer for as long as the cookie, since @compas/store's
 * clean-up deletes a session that has lost its tokens, and with it what the cookie opens. The token
 * itself expires when it says so. A day ahead, so that most changes of a cookie's expiry write no row.
 */
export function holdOffer(end: string): string {
  return `update "sessionStoreToken" t set "expiresAt" = ${end} + interval '1 day'
    from link where t."id" = (link."offer"->>'refreshToken')::uuid and t."expiresAt" < ${end}`;
}

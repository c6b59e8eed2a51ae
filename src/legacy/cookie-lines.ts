import type { LegacyRequest } from "./legacy-request.js";

const linesOf = ({ ctx }: LegacyRequest) =>
  [ctx.res.getHeader("Set-Cookie") ?? []].flat().map(String);

const isOfSource =
  ({ source }: LegacyRequest) =>
  (line: string) =>
    source.cookieNames.some((name) => line.startsWith(`${name}=`));

/** Cookies are cleared by an expiry in the past; the libraries take the epoch. */
export const isClearing = (line: string) => line.includes("expires=Thu, 01 Jan 1970");

/** The response's `Set-Cookie` lines for the old middleware's cookies. */
export function legacyCookieLines(request: LegacyRequest): string[] {
  return linesOf(request).filter(isOfSource(request));
}

/**
 * The old middleware renews the cookie whenever it stores the session. While draining, the cookie keeps
 * the expiry that it has, and a session that got tokens gets no cookie at all.
 */
export function withholdRenewals(request: LegacyRequest): void {
  const { ctx, current, presented, isDiverted } = request;
  const isRenewal =
    current !== undefined && current === presented && current.sessionId !== undefined;
  if (!isDiverted && !isRenewal) return;
  const isOurs = isOfSource(request);
  const kept = linesOf(request).filter((line) => !isOurs(line) || isClearing(line));
  if (kept.length > 0) ctx.set("Set-Cookie", kept);
  else ctx.remove("Set-Cookie");
}

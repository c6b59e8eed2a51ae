import type { Context } from "koa";
import type { Transport } from "./common-options.js";
import type { TokenPair } from "./tokens/jwt.js";

const defaultHeaders = {
  accessTokenHeader: "Session-Access-Token",
  refreshTokenHeader: "Session-Refresh-Token",
};
const upgradeHeader = "Session-Upgrade";

/** Marks a response that carries tokens, or says where to get them: for nobody's cache. */
export function forbidCaching(ctx: Context): void {
  ctx.set("Cache-Control", "no-store");
  ctx.vary(["Authorization", "Cookie"]);
}

/** Hands a pair to the client, in the response or by the user's function. */
export async function handOut(ctx: Context, transport: Transport, pair: TokenPair): Promise<void> {
  if (ctx.headerSent) return;
  forbidCaching(ctx);
  if (typeof transport === "function") {
    await transport(ctx, pair);
    return;
  }
  const { accessTokenHeader, refreshTokenHeader } =
    typeof transport === "object" ? transport : defaultHeaders;
  ctx.set(accessTokenHeader, pair.accessToken);
  ctx.set(refreshTokenHeader, pair.refreshToken);
  expose(ctx, accessTokenHeader, refreshTokenHeader);
}

/** Tells the client of a cookie session that `POST …/upgrade` has tokens for it. */
export function announceUpgrade(ctx: Context): void {
  if (ctx.headerSent) return;
  forbidCaching(ctx);
  ctx.set(upgradeHeader, "bearer");
  expose(ctx, upgradeHeader);
}

function expose(ctx: Context, ...names: string[]): void {
  const exposed = ctx.response.get("Access-Control-Expose-Headers");
  ctx.set("Access-Control-Expose-Headers", [exposed, ...names].filter(Boolean).join(", "));
}

/** Another site made this request (Fetch Metadata); its answer must not carry tokens. */
export function isCrossSite(ctx: Context): boolean {
  return ctx.get("Sec-Fetch-Site") === "cross-site";
}

/** A document, image or frame is being loaded (Fetch Metadata): no script can read the headers. */
export function isUnreadable(ctx: Context): boolean {
  const destination = ctx.get("Sec-Fetch-Dest");
  return (
    ctx.get("Sec-Fetch-Mode") === "navigate" || (destination !== "" && destination !== "empty")
  );
}

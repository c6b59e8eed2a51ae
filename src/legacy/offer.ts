import type { Context } from "koa";
import type { BridgeEvents, Events } from "../events.js";
import type { Transport } from "../common-options.js";
import { announceUpgrade, handOut, isCrossSite, isUnreadable } from "../transport.js";
import { isClearing, legacyCookieLines } from "./cookie-lines.js";
import type { LegacyRequest } from "./legacy-request.js";

/** Hands tokens to clients that come with a cookie, until they use them. */
export interface Offers {
  /** After the handler. A failure is told to the operator and costs nobody the response. */
  make(request: LegacyRequest): Promise<void>;
}

export function createOffers(
  transport: Transport,
  offer: (ctx: Context) => boolean,
  events: Events<BridgeEvents>,
): Offers {
  async function make(request: LegacyRequest): Promise<void> {
    const { ctx, mode, current, diverted, isIssued } = request;
    if (isIssued || isUnreadable(ctx)) return;
    // A cookie comes along by itself, so another site's request must learn nothing from it.
    const isAnothers = isCrossSite(ctx);
    if (diverted !== undefined) {
      if (isAnothers && request.isOpened) return;
      await handOut(ctx, transport === "endpoint" ? "headers" : transport, diverted.pair);
      return;
    }
    if (mode === "observe") return;
    if (isAnothers || current?.sessionId === undefined || current.isAdopted) return;
    if (!offer(ctx)) return;
    // A handler that clears the cookie by hand means to log out.
    if (legacyCookieLines(request).some(isClearing)) return;
    if (transport === "endpoint") {
      announceUpgrade(ctx);
      return;
    }
    const pair = await current.offer();
    if (pair === undefined) return;
    await handOut(ctx, transport, pair);
    events.emit("offered", { source: request.source.name, sessionId: pair.sessionId });
  }

  return {
    make: (request) =>
      make(request).catch((error: unknown) => {
        events.emit("error", error as Error);
      }),
  };
}

import type { Context } from "koa";
import { type Brownout, meets, shareAt } from "../brownout.js";
import { hashLegacyKey } from "./sealed-key.js";
import type { LegacySource } from "./source.js";

/** Whether a brownout meets one of the cookies that a request presents. */
export function isBrownedOut(
  ctx: Context,
  presented: readonly LegacySource[],
  brownout: Brownout | undefined,
  now: Date,
): boolean {
  if (brownout === undefined || shareAt(brownout, now) === 0) return false;
  return presented.some((source) => {
    const key = source.readKey(ctx, now);
    if (key === undefined) return false;
    // A data cookie without an id would draw anew with each request.
    const drawn = key.isMinted === true ? key.origin : hashLegacyKey(source.name, key.key);
    return drawn !== undefined && meets(brownout, drawn, now);
  });
}

import { hostname } from "node:os";
import type Koa from "koa";
import type { ParsedBridgeOptions } from "../bridge-options.js";
import type { ModeOrigin } from "../mode.js";
import type { OldTable } from "../store/old-table.js";
import type { About } from "./about.js";

/** What this process tells the operator of itself. */
export function aboutBridge(
  app: Partial<Pick<Koa, "proxy">>,
  { shared, tokens, sources, cookieLingerInSeconds }: ParsedBridgeOptions,
  own: { modeFrom: ModeOrigin; tablesBeside: ReadonlyMap<string, OldTable> },
): About {
  return {
    host: hostname(),
    pid: process.pid,
    node: process.version,
    modeFrom: own.modeFrom,
    cookieLingerInSeconds,
    poolMax: shared.pool.options?.max ?? null,
    isBehindProxy: app.proxy === true,
    signingKeys: tokens.keys.map(({ kid }) => kid),
    sources: sources.map((source) => ({
      name: source.name,
      hasOldStore: source.oldStore !== undefined,
      cookieMaxAgeInSeconds: source.cookieMaxAgeInSeconds ?? null,
      table: own.tablesBeside.get(source.name) ?? null,
    })),
  };
}

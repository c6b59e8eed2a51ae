import type { Context } from "koa";
import { describe, isFunction, type OptionsReader } from "./options.js";
import type { Pool } from "./store/database.js";
import type { TokenPair } from "./tokens/jwt.js";

/** How tokens reach the client: {@link SharedOptions.transport}. */
export type Transport =
  | "headers"
  | "endpoint"
  | { accessTokenHeader: string; refreshTokenHeader: string }
  | ((ctx: Context, pair: TokenPair) => void | Promise<void>);

export interface SharedOptions {
  /** The application's `pg` pool. */
  pool: Pool;
  /** Default `"headers"`: `Session-Access-Token` and `Session-Refresh-Token`. */
  transport?: Transport;
  /** Where the access token is. Default: the Authorization header, scheme Bearer (RFC 6750). */
  readAccessToken?: (ctx: Context) => string | undefined;
  /** Default `"reject"`: 401. `"anonymous"` goes on without a session, never with the cookie. */
  onInvalidToken?: "reject" | "anonymous";
  /** True for a bearer token of another system: it is then no credential of ours. */
  isForeignToken?: (token: string) => boolean;
  /** Name the statements, so that each connection plans them once. Default false: works by any pooler. */
  preparedStatements?: boolean;
  /** The time. Default: the system's. */
  clock?: () => Date;
  /** Makes the ids of sessions and tokens: UUIDs that cannot be guessed. Default `crypto.randomUUID`. */
  generateId?: () => string;
}

/** Shared options, checked, with their defaults. */
export interface ParsedSharedOptions {
  readonly pool: Pool;
  readonly transport: Transport;
  readonly readAccessToken: (ctx: Context) => string | undefined;
  readonly onInvalidToken: "reject" | "anonymous";
  readonly isForeignToken: (token: string) => boolean;
  readonly preparedStatements: boolean;
  readonly clock: () => Date;
  readonly generateId: () => string;
}

export const sharedOptionNames = [
  "pool",
  "transport",
  "readAccessToken",
  "onInvalidToken",
  "isForeignToken",
  "preparedStatements",
  "clock",
  "generateId",
] as const;

/** Reads the options that the bridge and `tokenSession` share. */
export function readSharedOptions(
  reader: OptionsReader,
  raw: Record<string, unknown>,
): ParsedSharedOptions {
  const pool = raw["pool"];
  if (!isPool(pool)) {
    reader.problem("pool", `must be a Pool of the pg package, got ${describe(pool)}`);
  }
  const { clock, generateId } = raw;
  return {
    pool: pool as Pool,
    transport: readTransport(reader, raw["transport"]),
    readAccessToken: reader.function("readAccessToken", raw["readAccessToken"], readBearerToken),
    onInvalidToken: reader.optional(
      "onInvalidToken",
      raw["onInvalidToken"],
      (value) => value === "reject" || value === "anonymous",
      '"reject" or "anonymous"',
      "reject",
    ),
    isForeignToken: reader.function("isForeignToken", raw["isForeignToken"], () => false),
    preparedStatements: reader.boolean("preparedStatements", raw["preparedStatements"], false),
    clock: reader.function("clock", clock, () => new Date()),
    generateId: reader.function("generateId", generateId, () => crypto.randomUUID()),
  };
}

export const isPool = (value: unknown) =>
  typeof value === "object" && value !== null && "query" in value && "connect" in value;

function readTransport(reader: OptionsReader, value: unknown): Transport {
  if (value === undefined) return "headers";
  if (value === "headers" || value === "endpoint" || isFunction(value)) return value as Transport;
  if (typeof value === "object" && value !== null) {
    const names = ["accessTokenHeader", "refreshTokenHeader"] as const;
    const headers = reader.object("transport", value, names);
    for (const name of names) {
      if (!isHeaderName(headers[name])) {
        reader.problem(`transport.${name}`, "must be the name of a response header");
      }
    }
    if (headers["accessTokenHeader"] === headers["refreshTokenHeader"]) {
      reader.problem("transport", "must name two different headers");
    }
    return headers as unknown as Transport;
  }
  reader.problem("transport", `must be "headers", "endpoint", header names or a function`);
  return "headers";
}

const isHeaderName = (value: unknown) =>
  typeof value === "string" && /^[\w!#$%&'*+.^`|~-]+$/.test(value);

/** The token of `Authorization: Bearer …`; empty when the scheme stands alone. */
export function readBearerToken(ctx: Context): string | undefined {
  const match = /^Bearer(?:[ \t]+(.*))?$/i.exec(ctx.get("Authorization").trim());
  return match === null ? undefined : (match[1] ?? "");
}

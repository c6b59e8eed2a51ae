import type { Context } from "koa";
import { describe, isFunction, type OptionsReader } from "./options.js";
import type { Pool } from "./store/database.js";
import type { CacheLimits } from "./store/session-cache.js";
import type { TokenPair } from "./tokens/jwt.js";

/** How tokens reach the client: {@link SharedOptions.transport}. */
export type Transport =
  | "headers"
  | "endpoint"
  | { accessTokenHeader: string; refreshTokenHeader: string }
  | ((ctx: Context, pair: TokenPair) => void | Promise<void>);

export interface CacheOptions {
  /** Sessions by access token, at most. Default 10000. */
  maxEntries?: number;
  /** How long one is kept, also if no change of it is heard of. Default 10. */
  maxAgeInSeconds?: number;
}

export interface SharedOptions {
  /** The application's `pg` pool. */
  pool: Pool;
  /**
   * A pool that connects to PostgreSQL itself and not by a pooler, such as `pool` where there is none. One of
   * its connections listens for `cache`, and in the bridge another one, so that a change of the flag in
   * PostgreSQL is seen at once.
   */
  directPool?: Pool;
  /**
   * Keep sessions that were read by an access token in this process, for as long as PostgreSQL tells of
   * changes; needs `directPool`, and `npx koa-session-bridge migrate --cache`. Default none: each request reads
   * the session.
   */
  cache?: CacheOptions;
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
  readonly directPool: Pool | undefined;
  readonly cache: CacheLimits | undefined;
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
  "directPool",
  "cache",
  "transport",
  "readAccessToken",
  "onInvalidToken",
  "isForeignToken",
  "preparedStatements",
  "clock",
  "generateId",
] as const;

/**
 * Reads the options that the bridge and `tokenSession` share. `listeners`: how many connections listen when
 * sessions are cached.
 */
export function readSharedOptions(
  reader: OptionsReader,
  raw: Record<string, unknown>,
  listeners: number,
): ParsedSharedOptions {
  const pool = raw["pool"];
  if (!isPool(pool)) {
    reader.problem("pool", `must be a Pool of the pg package, got ${describe(pool)}`);
  }
  const { clock, generateId } = raw;
  return {
    pool: pool as Pool,
    directPool: readDirectPool(reader, raw, listeners),
    cache: readCache(reader, raw),
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

const isPool = (value: unknown) =>
  typeof value === "object" && value !== null && "query" in value && "connect" in value;

function readDirectPool(
  reader: OptionsReader,
  raw: Record<string, unknown>,
  listeners: number,
): Pool | undefined {
  const { directPool, pool } = raw;
  const expected = "a Pool of the pg package";
  const read = reader.optional<Pool | undefined>(
    "directPool",
    directPool,
    isPool,
    expected,
    undefined,
  );
  const kept = raw["cache"] === undefined ? 1 : listeners;
  const most = read?.options?.max ?? Infinity;
  if (read === pool && most <= kept) {
    const which = most === 1 ? "the only connection" : "every connection";
    reader.problem("directPool", `would keep ${which} of pool: give it a pool of its own`);
  } else if (most < kept) {
    reader.problem("directPool", `must have ${kept} connections: one for the flag, one for cache`);
  }
  return read;
}

function readCache(
  reader: OptionsReader,
  { cache, directPool }: Record<string, unknown>,
): CacheLimits | undefined {
  if (cache === undefined) return undefined;
  const raw = reader.object("cache", cache, ["maxEntries", "maxAgeInSeconds"]);
  if (directPool === undefined) {
    reader.problem(
      "cache",
      "needs directPool, to hear of changes: a pool that goes to PostgreSQL itself (pool where there is no pooler)",
    );
  }
  return {
    maxEntries: reader.optional(
      "cache.maxEntries",
      raw["maxEntries"],
      (value) => Number.isInteger(value) && (value as number) >= 2 && (value as number) <= 2 ** 24,
      `a whole number from 2 to ${2 ** 24}`,
      10_000,
    ),
    maxAgeInSeconds: reader.seconds("cache.maxAgeInSeconds", raw["maxAgeInSeconds"], 10),
  };
}

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

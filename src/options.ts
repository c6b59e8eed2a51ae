import type { Context } from "koa";
import { type Pool } from "./store/database.js";
import { importSigningKey, type RingKey, type SigningKey } from "./tokens/keys.js";
import type { TokenPair } from "./tokens/jwt.js";

/** Lifetimes in seconds; a member left out takes the configured value. */
export interface TokenMaxAges {
  accessTokenMaxAgeInSeconds?: number;
  refreshTokenMaxAgeInSeconds?: number;
}

export interface TokenOptions {
  /** The first signs, all verify. */
  signingKeys: readonly SigningKey[];
  /** Default 900 (15 minutes). */
  accessTokenMaxAgeInSeconds?: number;
  /** Default 2592000 (30 days). Each refresh starts it anew. */
  refreshTokenMaxAgeInSeconds?: number;
  /** Lifetimes by session: at creation, and at each refresh, which then takes one more statement. */
  tokenMaxAgeResolver?: (session: {
    id: string;
    data: Record<string, unknown>;
  }) => TokenMaxAges | Promise<TokenMaxAges>;
  /** The `iss` claim, written and required. */
  issuer?: string;
  /** The `aud` claim, written and required. */
  audience?: string;
  /** Issue tokens that `@compas/store` accepts and accept the tokens it issues (HS256 only). */
  compas?: boolean;
}

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
  /** A further condition on handing out tokens by itself; `issueTokens` is not asked. */
  offer?: (ctx: Context) => boolean;
  /** Name the statements, so that each connection plans them once. Default false: works by any pooler. */
  preparedStatements?: boolean;
  /** The time. Default: the system's. */
  clock?: () => Date;
  /** Makes the ids of sessions and tokens: UUIDs that cannot be guessed. Default `crypto.randomUUID`. */
  generateId?: () => string;
}

/** Options of `tokenSession` and `createSessionStore`: one flat object. */
export type TokenSessionOptions = SharedOptions & TokenOptions;

/** Token options, checked, with their defaults. */
export interface ParsedTokenOptions {
  readonly keys: readonly RingKey[];
  readonly accessTokenMaxAgeInSeconds: number;
  readonly refreshTokenMaxAgeInSeconds: number;
  readonly tokenMaxAgeResolver: TokenOptions["tokenMaxAgeResolver"];
  readonly issuer: string | undefined;
  readonly audience: string | undefined;
  readonly compas: boolean;
}

/** Shared options, checked, with their defaults. */
export interface ParsedSharedOptions {
  readonly pool: Pool;
  readonly transport: Transport;
  readonly readAccessToken: (ctx: Context) => string | undefined;
  readonly onInvalidToken: "reject" | "anonymous";
  readonly isForeignToken: (token: string) => boolean;
  readonly offer: (ctx: Context) => boolean;
  readonly preparedStatements: boolean;
  readonly clock: () => Date;
  readonly generateId: () => string;
}

/** Collects everything that is wrong with an options object, then throws it as one TypeError. */
export class OptionsReader {
  readonly #caller: string;
  readonly #problems: string[] = [];

  constructor(caller: string) {
    this.#caller = caller;
  }

  problem(path: string, message: string): void {
    this.#problems.push(`${path}: ${message}`);
  }

  /** Throws when any problem was noted. */
  finish(): void {
    const count = this.#problems.length;
    if (count === 0) return;
    const list = this.#problems.map((problem) => `\n  - ${problem}`).join("");
    throw new TypeError(`${this.#caller}: ${count} invalid option${count === 1 ? "" : "s"}${list}`);
  }

  /** The value as an object whose members are all known; an empty one when it is none. */
  object(path: string, value: unknown, known: readonly string[]): Record<string, unknown> {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      this.problem(path, `must be an object, got ${describe(value)}`);
      return {};
    }
    for (const name of Object.keys(value)) {
      if (!known.includes(name)) {
        const full = path === "options" ? name : `${path}.${name}`;
        this.problem(full, `unknown option; there are ${known.join(", ")}`);
      }
    }
    return { ...value };
  }

  optional<Value>(
    path: string,
    value: unknown,
    is: (value: unknown) => boolean,
    expected: string,
    fallback: Value,
  ): Value {
    if (value === undefined) return fallback;
    if (is(value)) return value as Value;
    this.problem(path, `must be ${expected}, got ${describe(value)}`);
    return fallback;
  }

  seconds(path: string, value: unknown, fallback: number): number {
    return this.optional(
      path,
      value,
      isPositiveInteger,
      "a whole number of seconds above 0",
      fallback,
    );
  }

  function<F>(path: string, value: unknown, fallback: F): F {
    return this.optional(path, value, isFunction, "a function", fallback);
  }

  boolean(path: string, value: unknown, fallback: boolean): boolean {
    return this.optional(path, value, (v) => typeof v === "boolean", "true or false", fallback);
  }

  string(path: string, value: unknown): string | undefined {
    return this.optional(path, value, isText, "a non-empty string", undefined);
  }
}

export const isFunction = (value: unknown) => typeof value === "function";
const isText = (value: unknown) => typeof value === "string" && value !== "";
const isPositiveInteger = (value: unknown) => Number.isSafeInteger(value) && (value as number) > 0;

/** Says what kind of thing a value is, never the value: it may be a secret. */
export function describe(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (Array.isArray(value)) return "an array";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

export const tokenOptionNames = [
  "signingKeys",
  "accessTokenMaxAgeInSeconds",
  "refreshTokenMaxAgeInSeconds",
  "tokenMaxAgeResolver",
  "issuer",
  "audience",
  "compas",
] as const;

export const sharedOptionNames = [
  "pool",
  "transport",
  "readAccessToken",
  "onInvalidToken",
  "isForeignToken",
  "offer",
  "preparedStatements",
  "clock",
  "generateId",
] as const;

/** Reads the token options below `prefix` (`"tokens."`, or empty for the flat object). */
export function readTokenOptions(
  reader: OptionsReader,
  prefix: string,
  raw: Record<string, unknown>,
): ParsedTokenOptions {
  const compas = reader.boolean(`${prefix}compas`, raw["compas"], false);
  const accessPath = `${prefix}accessTokenMaxAgeInSeconds`;
  const refreshPath = `${prefix}refreshTokenMaxAgeInSeconds`;
  const access = reader.seconds(accessPath, raw["accessTokenMaxAgeInSeconds"], 900);
  const refresh = reader.seconds(
    refreshPath,
    raw["refreshTokenMaxAgeInSeconds"],
    30 * 24 * 60 * 60,
  );
  if (refresh < access) {
    reader.problem(refreshPath, `must not be shorter than accessTokenMaxAgeInSeconds (${access})`);
  }
  return {
    keys: readSigningKeys(reader, `${prefix}signingKeys`, raw["signingKeys"], compas),
    accessTokenMaxAgeInSeconds: access,
    refreshTokenMaxAgeInSeconds: refresh,
    tokenMaxAgeResolver: reader.function(
      `${prefix}tokenMaxAgeResolver`,
      raw["tokenMaxAgeResolver"],
      undefined,
    ),
    issuer: reader.string(`${prefix}issuer`, raw["issuer"]),
    audience: reader.string(`${prefix}audience`, raw["audience"]),
    compas,
  };
}

function readSigningKeys(
  reader: OptionsReader,
  path: string,
  value: unknown,
  compas: boolean,
): RingKey[] {
  if (!Array.isArray(value) || value.length === 0) {
    reader.problem(
      path,
      `must be an array of at least one { kid, key, alg }, got ${describe(value)}`,
    );
    return [];
  }
  const seen = new Set<unknown>();
  return value.flatMap((entry: unknown, index) => {
    const at = `${path}[${index}]`;
    const { kid, key, alg } = reader.object(at, entry, ["kid", "key", "alg"]);
    if (!isText(kid)) reader.problem(`${at}.kid`, "must be a non-empty string");
    else if (seen.has(kid)) reader.problem(`${at}.kid`, "must differ from the other keys' kid");
    seen.add(kid);
    if (alg !== "HS256" && alg !== "ES256" && alg !== "EdDSA") {
      reader.problem(`${at}.alg`, "must be HS256, ES256 or EdDSA");
      return [];
    }
    if (compas && index === 0 && alg !== "HS256") {
      reader.problem(`${at}.alg`, "must be HS256, which is all that @compas/store verifies");
    }
    if (key === undefined || key === null) {
      reader.problem(`${at}.key`, "is missing; make one with: npx koa-session-bridge keygen");
      return [];
    }
    try {
      const ringKey = importSigningKey({ kid: String(kid), alg, key: key as SigningKey["key"] });
      if (index === 0 && ringKey.signKey === undefined) {
        reader.problem(`${at}.key`, "must be a private key: the first key signs");
      }
      return [ringKey];
    } catch (error) {
      reader.problem(`${at}.key`, (error as Error).message);
      return [];
    }
  });
}

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
    offer: reader.function("offer", raw["offer"], () => true),
    preparedStatements: reader.boolean("preparedStatements", raw["preparedStatements"], false),
    clock: reader.function("clock", clock, () => new Date()),
    generateId: reader.function("generateId", generateId, () => crypto.randomUUID()),
  };
}

const isPool = (value: unknown) =>
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

import { describe, isText, OptionsReader } from "../options.js";
import { readSharedOptions, type SharedOptions, sharedOptionNames } from "../common-options.js";
import { importSigningKey, type RingKey, type SigningKey } from "./keys.js";

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
  /**
   * Issue tokens that `@compas/store` accepts and accept the tokens it issues (HS256 only), and tell its
   * queue of a refresh token that was reused. Default false.
   */
  compas?: boolean;
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

export const tokenOptionNames = [
  "signingKeys",
  "accessTokenMaxAgeInSeconds",
  "refreshTokenMaxAgeInSeconds",
  "tokenMaxAgeResolver",
  "issuer",
  "audience",
  "compas",
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

const longerCompasKey =
  "@compas/store takes shorter ones, but only one: make a key with npx koa-session-bridge keygen and give " +
  "@compas/store the same as signingKey, which ends the sessions of the tokens that it has signed so far";

function readSigningKeys(
  reader: OptionsReader,
  path: string,
  value: unknown,
  compas: boolean,
): RingKey[] {
  if (!Array.isArray(value) || value.length === 0) {
    reader.problem(
      path,
      `must be an array of at least one { kid, key, alg }, got ${Array.isArray(value) ? "an empty one" : describe(value)}; make a key with: npx koa-session-bridge keygen`,
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
      const ringKey = importSigningKey({ kid: String(kid), alg, key: key });
      if (index === 0 && ringKey.signKey === undefined) {
        reader.problem(`${at}.key`, "must be a private key: the first key signs");
      }
      return [ringKey];
    } catch (error) {
      const { message } = error as Error;
      const isShort = compas && error instanceof RangeError;
      reader.problem(`${at}.key`, isShort ? `${message}; ${longerCompasKey}` : message);
      return [];
    }
  });
}

/** Reads the flat options of `tokenSession` and `createSessionStore`. */
export function readTokenSessionOptions(caller: string, options: TokenSessionOptions) {
  const reader = new OptionsReader(caller);
  const raw = reader.object("options", options, [...sharedOptionNames, ...tokenOptionNames]);
  const shared = readSharedOptions(reader, raw, 1);
  const tokens = readTokenOptions(reader, "", raw);
  reader.finish();
  return { shared, tokens };
}

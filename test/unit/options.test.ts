import { generateKeyPairSync } from "node:crypto";
import session from "koa-session";
import { describe, expect, test } from "vitest";
import { koaSession, sessionBridge, type SessionBridgeOptions } from "../../src/index.js";
import {
  createSessionStore,
  tokenSession,
  type TokenSessionOptions,
} from "../../src/tokens/index.js";

const app = () => ({ use: () => undefined, context: {}, keys: ["a key"] });
const pool = { query: () => 0, connect: () => 0, on: () => 0, off: () => 0 } as never;
const poolOf = (max: number) => ({ ...(pool as object), options: { max } });
const poolOfTwo = poolOf(2);
const signingKeys = [{ kid: "a", alg: "HS256" as const, key: "a".repeat(32) }];
const valid = (): SessionBridgeOptions => ({
  legacy: koaSession(session, {}),
  pool,
  tokens: { signingKeys },
});

/** The lines of the TypeError for these options. */
function problems(options: unknown, make: (options: never) => unknown = bridge): string[] {
  try {
    make(options as never);
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError);
    const [first = "", ...lines] = (error as Error).message.split("\n  - ");
    const plural = lines.length === 1 ? "" : "s";
    expect(first).toMatch(new RegExp(`: ${lines.length} invalid option${plural}$`));
    return lines;
  }
  return [];
}
const bridge = (options: SessionBridgeOptions) => sessionBridge(options, app());
const paths = (lines: string[]) => lines.map((line) => line.slice(0, line.indexOf(": ")));

test("valid options have no problems", () => {
  expect(problems(valid())).toEqual([]);
  expect(problems({ pool, signingKeys }, tokenSession)).toEqual([]);
  expect(problems({ pool, signingKeys }, createSessionStore)).toEqual([]);
  const cached = { pool: poolOfTwo, directPool: poolOfTwo, cache: {} };
  expect(problems({ ...cached, signingKeys }, tokenSession)).toEqual([]);
  expect(problems({ ...valid(), directPool: poolOfTwo, cache: { maxEntries: 2 } })).toEqual([]);
});

test("one TypeError lists every problem with its path", () => {
  const lines = problems({
    legacy: [koaSession(session, {}), koaSession(session, {}), "koa-session"],
    tokens: {
      signingKeys: [
        { kid: "a", alg: "HS256", key: "short" },
        { kid: "a", alg: "RS256", key: "" },
        { kid: "b", alg: "HS256" },
        { kid: "", alg: "HS256", key: "a".repeat(32), secret: true },
      ],
      accessTokenMaxAgeInSeconds: 600,
      refreshTokenMaxAgeInSeconds: 60,
      tokenMaxAge: 1,
      issuer: "",
    },
    mode: "tokens-only",
    cookieLingerInSeconds: -1,
    writeThrough: "yes",
    transport: { accessTokenHeader: "not a name" },
    onInvalidToken: "ignore",
    labels: {},
    deprecation: { at: "soon", link: "/relative" },
    unknown: 1,
  });
  expect(paths(lines).sort()).toEqual(
    [
      "unknown",
      "pool",
      "transport.accessTokenHeader",
      "transport.refreshTokenHeader",
      "onInvalidToken",
      "tokens.tokenMaxAge",
      "tokens.refreshTokenMaxAgeInSeconds",
      "tokens.issuer",
      "tokens.signingKeys[0].key",
      "tokens.signingKeys[1].kid",
      "tokens.signingKeys[1].alg",
      "tokens.signingKeys[2].key",
      "tokens.signingKeys[3].secret",
      "tokens.signingKeys[3].kid",
      "legacy[1]",
      "legacy[1]",
      "legacy[2]",
      "mode",
      "cookieLingerInSeconds",
      "writeThrough",
      "labels",
      "deprecation.at",
      "deprecation.link",
    ].sort(),
  );
  expect(lines).toContain("legacy[1]: has the same cookie koa.sess as legacy[0]");
  expect(lines.find((line) => line.startsWith("unknown:"))).toMatch(/unknown option; there are /);
});

const misuses: Record<string, [options: unknown, problem: RegExp]> = {
  "no options": [undefined, /^options: must be an object, got undefined$/],
  "an unknown option": [{ ...valid(), legcay: 1 }, /^legcay: unknown option; there are legacy, /],
  "no pool": [
    { ...valid(), pool: undefined },
    /^pool: must be a Pool of the pg package, got undef/,
  ],
  "a connection string as the pool": [
    { ...valid(), pool: "postgres://app:secret@localhost" },
    /^pool: must be a Pool of the pg package, got a string$/,
  ],
  "a cache without a pool to hear of changes by": [
    { ...valid(), cache: {} },
    /^cache: needs directPool, to hear of changes: a pool that goes to PostgreSQL itself/,
  ],
  "a cache of one": [
    { ...valid(), directPool: pool, cache: { maxEntries: 1 } },
    /^cache\.maxEntries: must be a whole number from 2 to 16777216, got 1$/,
  ],
  "a cache for ever": [
    { ...valid(), directPool: pool, cache: { maxAgeInSeconds: Infinity } },
    /^cache\.maxAgeInSeconds: must be a whole number of seconds from 1 to 2147483647, got Infinity$/,
  ],
  "an unknown option of the cache": [
    { ...valid(), directPool: pool, cache: { maxAge: 1 } },
    /^cache\.maxAge: unknown option; there are maxEntries, maxAgeInSeconds$/,
  ],
  "a cache of which nobody knows what it is": [
    { ...valid(), directPool: pool, cache: true },
    /^cache: must be an object, got true$/,
  ],
  "a pool for the flag and the cache that has one connection": [
    { ...valid(), directPool: poolOf(1), cache: {} },
    /^directPool: must have 2 connections: one for the flag, one for cache$/,
  ],
  "a pool whose connections all listen": [
    { ...valid(), pool: poolOfTwo, directPool: poolOfTwo, cache: {} },
    /^directPool: would keep every connection of pool: give it a pool of its own$/,
  ],
  "no old system": [{ ...valid(), legacy: undefined }, /^legacy: must be made by koaSession/],
  "an empty list of old systems": [{ ...valid(), legacy: [] }, /^legacy: must name at least one/],
  "a plain config as the old system": [
    { ...valid(), legacy: { key: "a" } },
    /^legacy: must be made/,
  ],
  "no tokens": [{ ...valid(), tokens: undefined }, /^tokens: must be an object, got undefined$/],
  "no keys": [{ ...valid(), tokens: {} }, /^tokens\.signingKeys: must be an array of at least one/],
  "an empty list of keys": [
    { ...valid(), tokens: { signingKeys: [] } },
    /^tokens\.signingKeys: must be an array of at least one/,
  ],
  "a short key": [
    { ...valid(), tokens: { signingKeys: [{ kid: "a", alg: "HS256", key: "a".repeat(31) }] } },
    /^tokens\.signingKeys\[0\]\.key: must have at least 32 bytes for HS256, has 31$/,
  ],
  "a short key that @compas/store would take": [
    {
      ...valid(),
      tokens: { compas: true, signingKeys: [{ kid: "a", alg: "HS256", key: "a".repeat(20) }] },
    },
    /^tokens\.signingKeys\[0\]\.key: must have at least 32 bytes for HS256, has 20; .*npx koa-session-bridge keygen.* as signingKey, which ends/,
  ],
  "a refresh token that lives shorter than the access token": [
    { ...valid(), tokens: { signingKeys, refreshTokenMaxAgeInSeconds: 60 } },
    /^tokens\.refreshTokenMaxAgeInSeconds: must not be shorter than accessTokenMaxAgeInSeconds/,
  ],
  "a lifetime of zero": [
    { ...valid(), tokens: { signingKeys, accessTokenMaxAgeInSeconds: 0 } },
    /^tokens\.accessTokenMaxAgeInSeconds: must be a whole number of seconds from 1 to 2147483647, got 0$/,
  ],
  "a lifetime as text": [
    { ...valid(), tokens: { signingKeys, accessTokenMaxAgeInSeconds: "15m" } },
    /^tokens\.accessTokenMaxAgeInSeconds: must be a whole number of seconds from 1 to 2147483647, got a string$/,
  ],
  "compas with another algorithm first": [
    {
      ...valid(),
      tokens: {
        compas: true,
        signingKeys: [{ kid: "a", alg: "EdDSA", key: generateKeyPairSync("ed25519").privateKey }],
      },
    },
    /^tokens\.signingKeys\[0\]\.alg: must be HS256, which is all that @compas\/store verifies$/,
  ],
  "a sunset before the deprecation": [
    { ...valid(), deprecation: { at: new Date(2), sunset: new Date(1) } },
    /^deprecation\.sunset: must not come before at$/,
  ],
  "an invalid date": [
    { ...valid(), deprecation: { at: new Date("never") } },
    /^deprecation\.at: must be a Date/,
  ],
};

describe("is refused:", () => {
  for (const [what, [options, problem]] of Object.entries(misuses)) {
    test(what, () => {
      expect(problems(options)).toContainEqual(expect.stringMatching(problem));
    });
  }

  test("two old systems with one cookie name, in any order", () => {
    const legacy = [
      koaSession(session, { key: "a" }),
      koaSession(session, { key: "b" }),
      koaSession(session, { key: "a", signed: false }),
    ];
    expect(problems({ ...valid(), legacy })).toEqual([
      "legacy[2]: has the same cookie a as legacy[0]",
      "legacy[2]: has the same cookie a.sig as legacy[0]",
    ]);
  });

  test("no app", () => {
    const misuse = () => sessionBridge(valid(), undefined as never);
    expect(misuse).toThrow(
      new TypeError("sessionBridge: the second argument must be the Koa application"),
    );
  });

  test("no koa-session", () => {
    expect(() => koaSession({ default: session } as never, {})).toThrow(TypeError);
  });

  test("tokenSession and createSessionStore: the same, in one flat object, under their names", () => {
    const options = {
      pool: 1,
      signingKeys: [],
      tokens: {},
      legacy: 1,
    } as unknown as TokenSessionOptions;
    for (const make of [tokenSession, createSessionStore]) {
      expect(() => make(options)).toThrow(`${make.name}: 4 invalid options`);
      expect(paths(problems(options, make)).sort()).toEqual([
        "legacy",
        "pool",
        "signingKeys",
        "tokens",
      ]);
    }
  });
});

test("nobody's objects are mutated, however deep they are frozen", () => {
  const config = deepFreeze({ key: "frozen", maxAge: 60_000 });
  const options = deepFreeze({
    legacy: [koaSession(session, config)],
    pool,
    tokens: { signingKeys: [{ kid: "a", alg: "HS256" as const, key: "a".repeat(32) }] },
    transport: { accessTokenHeader: "X-Access", refreshTokenHeader: "X-Refresh" },
    deprecation: { at: new Date(0) },
  });
  const before = JSON.stringify(config);
  expect(() => sessionBridge(options, app())).not.toThrow();
  expect(JSON.stringify(config)).toBe(before);
  expect(Object.keys(config)).toEqual(["key", "maxAge"]);
});

function deepFreeze<Value>(value: Value): Value {
  if (typeof value === "object" && value !== null && value !== (pool as unknown)) {
    Object.values(value).forEach(deepFreeze);
    Object.freeze(value);
  }
  return value;
}

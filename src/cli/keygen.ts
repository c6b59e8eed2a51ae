import { generateKeyPairSync, randomBytes } from "node:crypto";
import { defineCommand, UsageError } from "./command.js";
import type { SigningAlgorithm } from "../tokens/keys.js";

const help = `Usage: koa-session-bridge keygen [--alg HS256|ES256|EdDSA] [--kid NAME]

Prints a new signing key as one JSON object, an entry of tokens.signingKeys. It is a secret: keep it
where the application's other secrets are.

Options:
  --alg   HS256 (default), ES256 or EdDSA
  --kid   key id; default: today's date and four random bytes
  --help  show this

To rotate: put the new key behind the old ones everywhere, then first everywhere, and remove the old
one when the last token that it signed has expired.

Examples:
  koa-session-bridge keygen
  export SESSION_SIGNING_KEYS="[$(koa-session-bridge keygen --alg EdDSA)]"

Exit codes: 0 printed, 2 wrong usage.
`;

const makers: Record<SigningAlgorithm, () => unknown> = {
  HS256: () => randomBytes(48).toString("base64url"),
  ES256: () =>
    generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" }),
  EdDSA: () => generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" }),
};

export const keygen = defineCommand({
  name: "keygen",
  summary: "make a signing key",
  help,
  options: { alg: { type: "string", default: "HS256" }, kid: { type: "string" } },
  run({ alg, kid }) {
    if (!isAlgorithm(alg))
      throw new UsageError(`Unknown algorithm "${alg}": take HS256, ES256 or EdDSA.`);
    if (kid === "") throw new UsageError("--kid must not be empty.");
    const defaultKid = `${new Date().toISOString().slice(0, 10)}-${randomBytes(4).toString("hex")}`;
    const key = { kid: kid ?? defaultKid, alg, key: makers[alg]() };
    process.stdout.write(`${JSON.stringify(key)}\n`);
    return Promise.resolve(0);
  },
});

const isAlgorithm = (alg: string): alg is SigningAlgorithm => Object.hasOwn(makers, alg);

import { createPublicKey, createSecretKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { describe, expect, test } from "vitest";
import { importSigningKey, type SigningKey } from "../../src/tokens/keys.js";

const es256 = generateKeyPairSync("ec", { namedCurve: "P-256" });
const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" });
const edDsa = generateKeyPairSync("ed25519");
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const secret = "a secret of at least thirty-two bytes";

const pem = (key: KeyObject) =>
  key.export({ type: key.type === "private" ? "pkcs8" : "spki", format: "pem" }) as string;
const jwk = (key: KeyObject) => key.export({ format: "jwk" });

const accepted: Record<string, Omit<SigningKey, "kid">> = {
  "a secret as a string": { alg: "HS256", key: secret },
  "a secret as bytes": { alg: "HS256", key: new TextEncoder().encode(secret) },
  "a secret as a KeyObject": { alg: "HS256", key: createSecretKey(Buffer.from(secret)) },
  "ES256 as PEM": { alg: "ES256", key: pem(es256.privateKey) },
  "ES256 as JWK": { alg: "ES256", key: jwk(es256.privateKey) },
  "ES256 as KeyObject": { alg: "ES256", key: es256.privateKey },
  "EdDSA as PEM": { alg: "EdDSA", key: pem(edDsa.privateKey) },
  "EdDSA as JWK": { alg: "EdDSA", key: jwk(edDsa.privateKey) },
  "EdDSA as KeyObject": { alg: "EdDSA", key: edDsa.privateKey },
};

describe("a key that signs:", () => {
  for (const [what, key] of Object.entries(accepted)) {
    test(what, async () => {
      const ringKey = importSigningKey({ kid: "a", ...key });
      expect(ringKey).toMatchObject({ kid: "a", alg: key.alg });
      expect(await ringKey.verifyKey).toBeDefined();
      expect(await ringKey.signKey).toBeDefined();
      expect(ringKey.sealingKey).toHaveLength(32);
    });
  }
});

const onlyVerifying: Record<string, Omit<SigningKey, "kid">> = {
  "ES256 as PEM": { alg: "ES256", key: pem(es256.publicKey) },
  "ES256 as JWK": { alg: "ES256", key: jwk(es256.publicKey) },
  "EdDSA as KeyObject": { alg: "EdDSA", key: edDsa.publicKey },
};

describe("a public key verifies, and neither signs nor seals:", () => {
  for (const [what, key] of Object.entries(onlyVerifying)) {
    test(what, async () => {
      const ringKey = importSigningKey({ kid: "a", ...key });
      expect(await ringKey.verifyKey).toBeDefined();
      expect(ringKey.signKey).toBeUndefined();
      expect(ringKey.sealingKey).toBeUndefined();
    });
  }
});

const refused: Record<string, [Omit<SigningKey, "kid">, string]> = {
  "31 bytes": [
    { alg: "HS256", key: "a".repeat(31) },
    "must have at least 32 bytes for HS256, has 31",
  ],
  "a pair for HS256": [
    { alg: "HS256", key: es256.privateKey },
    "must be a string or bytes for HS256",
  ],
  "a JWK for HS256": [{ alg: "HS256", key: { kty: "oct", k: "a" } }, "must be a string or bytes"],
  "P-384 for ES256": [{ alg: "ES256", key: p384.privateKey }, "must be a key on curve prime256v1"],
  "Ed25519 for ES256": [
    { alg: "ES256", key: edDsa.privateKey },
    "must be a key on curve prime256v1",
  ],
  "P-256 for EdDSA": [
    { alg: "EdDSA", key: pem(es256.privateKey) },
    "must be a key on curve ed25519",
  ],
  "RSA for ES256": [{ alg: "ES256", key: rsa.privateKey }, "must be a key on curve prime256v1"],
  "a secret for ES256": [{ alg: "ES256", key: secret }, "is neither a private nor a public key"],
  "bytes for EdDSA": [{ alg: "EdDSA", key: new Uint8Array(32) }, "must be a PEM string, a JWK"],
  "half a PEM": [
    { alg: "ES256", key: pem(es256.privateKey).slice(0, 80) },
    "is neither a private nor a public key that can be read",
  ],
};

describe("is refused, and not shown:", () => {
  for (const [what, [key, problem]] of Object.entries(refused)) {
    test(what, () => {
      expect(() => importSigningKey({ kid: "a", ...key })).toThrow(problem);
      if (typeof key.key !== "string") return;
      try {
        importSigningKey({ kid: "a", ...key });
      } catch (error) {
        expect(String((error as Error).stack)).not.toContain(key.key.slice(0, 60));
      }
    });
  }
});

test("the sealing key is not the signing key, and is the same each time", () => {
  const [first, second] = [1, 2].map(() =>
    importSigningKey({ kid: "a", alg: "HS256", key: secret }),
  );
  expect(first?.sealingKey).toEqual(second?.sealingKey);
  expect(first?.sealingKey?.toString("utf8")).not.toContain(secret.slice(0, 8));
  const other = importSigningKey({ kid: "a", alg: "HS256", key: `${secret}!` });
  expect(other.sealingKey).not.toEqual(first?.sealingKey);
});

test("the verifying key of a pair is its public half", async () => {
  const { verifyKey } = importSigningKey({ kid: "a", alg: "ES256", key: es256.privateKey });
  const own = await verifyKey;
  expect(own.type).toBe("public");
  expect(own.extractable).toBe(false);
  expect(createPublicKey(es256.privateKey).equals(es256.publicKey)).toBe(true);
});

import type { CryptoKey, JWK } from "jose";
import {
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  hkdfSync,
  KeyObject,
} from "node:crypto";

export type SigningAlgorithm = "HS256" | "ES256" | "EdDSA";

/** A key of the ring. The first of `signingKeys` signs; all of them verify. */
export interface SigningKey {
  /** Key id: goes into the token's header and picks the key that verifies it. Unique. */
  kid: string;
  alg: SigningAlgorithm;
  /**
   * HS256: a secret of at least 32 bytes (a string counts in UTF-8). ES256 (P-256) and EdDSA (Ed25519):
   * a private key as PEM, JWK or KeyObject; a public key does for a key that only verifies.
   */
  key: string | Uint8Array | KeyObject | JWK;
}

/** A signing key, checked and ready for use. */
export interface RingKey {
  readonly kid: string;
  readonly alg: SigningAlgorithm;
  /** WebCrypto keys: jose is about twice as fast with them as with bytes or a KeyObject. */
  readonly verifyKey: Promise<CryptoKey>;
  readonly signKey: Promise<CryptoKey> | undefined;
  /** Encrypts what must be read back, derived by HKDF (RFC 5869); absent for a public key. */
  readonly sealingKey: Buffer | undefined;
}

const minimumSecretBytes = 32;
const curves = { ES256: "prime256v1", EdDSA: "ed25519" } as const;
const algorithms = {
  HS256: { name: "HMAC", hash: "SHA-256" },
  ES256: { name: "ECDSA", namedCurve: "P-256" },
  EdDSA: { name: "Ed25519" },
} as const;

/**
 * Checks a key and imports it. Throws an Error that says what is wrong, without showing the key: a
 * RangeError when it is too short.
 */
export function importSigningKey({ kid, alg, key }: SigningKey): RingKey {
  return alg === "HS256" ? importSecret(kid, key) : importPair(kid, alg, key);
}

function importSecret(kid: string, key: SigningKey["key"]): RingKey {
  const secret = secretBytes(key);
  if (secret === undefined) throw new Error("must be a string or bytes for HS256");
  if (secret.length < minimumSecretBytes) {
    throw new RangeError(
      `must have at least ${minimumSecretBytes} bytes for HS256, has ${secret.length}`,
    );
  }
  const imported = crypto.subtle.importKey("raw", secret, algorithms.HS256, false, [
    "sign",
    "verify",
  ]);
  return { kid, alg: "HS256", verifyKey: imported, signKey: imported, sealingKey: seal(secret) };
}

function secretBytes(key: SigningKey["key"]): Uint8Array<ArrayBuffer> | undefined {
  if (typeof key === "string") return new Uint8Array(Buffer.from(key, "utf8"));
  if (key instanceof Uint8Array) return new Uint8Array(key);
  if (key instanceof KeyObject && key.type === "secret") return new Uint8Array(key.export());
  return undefined;
}

function importPair(kid: string, alg: "ES256" | "EdDSA", key: SigningKey["key"]): RingKey {
  const keyObject = asymmetricKey(key);
  const curve = keyObject.asymmetricKeyDetails?.namedCurve ?? keyObject.asymmetricKeyType;
  if (curve !== curves[alg]) throw new Error(`must be a key on curve ${curves[alg]} for ${alg}`);
  const isPrivate = keyObject.type === "private";
  const publicKey = isPrivate ? createPublicKey(keyObject) : keyObject;
  return {
    kid,
    alg,
    verifyKey: crypto.subtle.importKey(
      "spki",
      new Uint8Array(publicKey.export({ type: "spki", format: "der" })),
      algorithms[alg],
      false,
      ["verify"],
    ),
    signKey: isPrivate
      ? crypto.subtle.importKey("pkcs8", der(keyObject), algorithms[alg], false, ["sign"])
      : undefined,
    sealingKey: isPrivate ? seal(der(keyObject)) : undefined,
  };
}

const der = (key: KeyObject) => new Uint8Array(key.export({ type: "pkcs8", format: "der" }));

function asymmetricKey(key: SigningKey["key"]): KeyObject {
  if (key instanceof KeyObject) return key;
  if (key instanceof Uint8Array) throw new Error("must be a PEM string, a JWK or a KeyObject");
  const input = typeof key === "string" ? key : ({ key, format: "jwk" } as const);
  for (const create of [createPrivateKey, createPublicKey]) {
    try {
      return create(input);
    } catch {
      // What the parser says may quote the key.
    }
  }
  throw new Error("is neither a private nor a public key that can be read");
}

const seal = (material: Uint8Array) =>
  Buffer.from(
    hkdfSync("sha256", createSecretKey(material), "", "koa-session-bridge sealing key", 32),
  );

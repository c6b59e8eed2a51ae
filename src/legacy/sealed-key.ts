import { createCipheriv, createDecipheriv, hash, randomBytes } from "node:crypto";
import type { RingKey } from "../tokens/keys.js";

/** The key of a link: SHA-256 of source name and legacy key. */
export function hashLegacyKey(source: string, legacyKey: string): Buffer {
  // As text it comes several times faster than as bytes.
  return Buffer.from(hash("sha256", `${source}\0${legacyKey}`, "base64url"), "base64url");
}

// A bearer request knows no legacy key, yet must write through to the old store and end the session
// there. So the link holds the key encrypted (AES-256-GCM: nonce, tag, ciphertext; bound to its link)
// under a key that only the application has, derived from its signing keys.
const cipherName = "aes-256-gcm";
const nonceBytes = 12;
const tagBytes = 16;

export function sealLegacyKey(
  keys: readonly RingKey[],
  link: Buffer,
  legacyKey: string,
): Buffer | null {
  const sealingKey = keys.find((key) => key.sealingKey !== undefined)?.sealingKey;
  if (sealingKey === undefined) return null;
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv(cipherName, sealingKey, nonce).setAAD(link);
  const sealed = Buffer.concat([cipher.update(legacyKey, "utf8"), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
}

/** The legacy key, if one of the keys sealed it. */
export function openLegacyKey(
  keys: readonly RingKey[],
  link: Buffer,
  sealed: Buffer,
): string | undefined {
  const nonce = sealed.subarray(0, nonceBytes);
  const tag = sealed.subarray(nonceBytes, nonceBytes + tagBytes);
  for (const { sealingKey } of keys) {
    if (sealingKey === undefined) continue;
    try {
      const decipher = createDecipheriv(cipherName, sealingKey, nonce).setAAD(link).setAuthTag(tag);
      const opened = decipher.update(sealed.subarray(nonceBytes + tagBytes));
      return Buffer.concat([opened, decipher.final()]).toString("utf8");
    } catch {
      // Sealed by another key of the ring, or by one that has left it.
    }
  }
  return undefined;
}

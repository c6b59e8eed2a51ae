import fc from "fast-check";
import { expect, test } from "vitest";
import { hashLegacyKey, openLegacyKey, sealLegacyKey } from "../../src/legacy/sealed-key.js";
import { importSigningKey } from "../../src/tokens/keys.js";

const keyOf = (kid: string) =>
  importSigningKey({ kid, alg: "HS256", key: kid.repeat(32).slice(0, 32) });
const [a, b] = [keyOf("a"), keyOf("b")];
const link = hashLegacyKey("koa-session:koa.sess", "a legacy key");

test("what is sealed is opened again, whatever the key is", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", minLength: 1 }), (legacyKey) => {
      const sealed = sealLegacyKey([a], link, legacyKey)!;
      expect(openLegacyKey([a], link, sealed)).toBe(legacyKey);
      if (legacyKey.length > 3) expect(sealed.toString("utf8")).not.toContain(legacyKey);
    }),
  );
});

test("the same key is sealed differently each time", () => {
  const seal = () => sealLegacyKey([a], link, "a legacy key");
  expect(seal()).not.toEqual(seal());
});

test("after a key rotation the old key of the ring still opens", () => {
  const sealed = sealLegacyKey([a], link, "a legacy key")!;
  expect(openLegacyKey([b, a], link, sealed)).toBe("a legacy key");
  expect(openLegacyKey([b], link, sealed)).toBeUndefined();
});

test("it opens for its own link alone", () => {
  const sealed = sealLegacyKey([a], link, "a legacy key")!;
  const other = hashLegacyKey("koa-session:koa.sess", "another legacy key");
  expect(openLegacyKey([a], other, sealed)).toBeUndefined();
});

test("changed in any byte, or cut off, it does not open", () => {
  const sealed = sealLegacyKey([a], link, "a legacy key")!;
  for (let index = 0; index < sealed.length; index += 1) {
    const changed = Buffer.from(sealed);
    changed[index] = changed[index]! ^ 1;
    expect(openLegacyKey([a], link, changed)).toBeUndefined();
  }
  for (const length of [0, 12, 27, sealed.length - 1]) {
    expect(openLegacyKey([a], link, sealed.subarray(0, length))).toBeUndefined();
  }
});

test("a ring of public keys seals nothing", () => {
  expect(sealLegacyKey([{ ...a, sealingKey: undefined }], link, "a legacy key")).toBeNull();
});

test("source and key cannot run into each other in the hash", () => {
  expect(hashLegacyKey("ab", "c")).not.toEqual(hashLegacyKey("a", "bc"));
  expect(hashLegacyKey("a", "b")).toHaveLength(32);
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { BoundedMap } from "../../src/bounded-map.js";
import { heapInUse } from "../support/heap.js";

test("it never holds more than its maximum, and always the half of it that was used last", () => {
  const keys = fc.integer({ min: 0, max: 30 });
  const uses = fc.array(fc.record({ key: keys, isSet: fc.boolean() }), { maxLength: 200 });
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 12 }), uses, (maximum, steps) => {
      const map = new BoundedMap<number, number>(maximum);
      const last = new Map<number, number>();
      steps.forEach(({ key, isSet }, index) => {
        if (isSet) map.set(key, index);
        const value = map.get(key);
        if (isSet) expect(value).toBe(index);
        if (value === undefined) return;
        last.delete(key);
        last.set(key, value);
      });
      // Looking is using: the newest first.
      const kept = [...last].slice(-Math.floor(maximum / 2)).reverse();
      for (const [key, value] of kept) expect(map.get(key)).toBe(value);
    }),
  );
  const map = new BoundedMap<number, number>(6);
  for (let key = 0; key < 100; key += 1) map.set(key, key);
  let found = 0;
  for (let key = 99; key >= 0; key -= 1) if (map.get(key) !== undefined) found += 1;
  expect(found).toBeGreaterThanOrEqual(3);
  expect(found).toBeLessThanOrEqual(6);
});

test("what is looked up stays longer than what is not", () => {
  const map = new BoundedMap<string, number>(4);
  for (const key of ["a", "b", "c", "d"]) map.set(key, 1);
  map.get("a");
  map.set("e", 1);
  expect(["a", "e"].map((key) => map.get(key))).toEqual([1, 1]);
  expect(map.get("b")).toBeUndefined();
});

test("what is deleted is gone, however often it was used", () => {
  const map = new BoundedMap<string, number>(4);
  for (const key of ["a", "b", "c", "a"]) map.set(key, 1);
  map.get("a");
  map.delete("a");
  expect(map.get("a")).toBeUndefined();
});

test("of a string that is part of a longer one, a look-up keeps only what was set", () => {
  const half = 1000;
  const map = new BoundedMap<string, number>(2 * half);
  const keyOf = (index: number) => `the key of entry ${index}`;
  for (let index = 0; index <= half; index += 1) map.set(keyOf(index), index);
  const before = heapInUse();
  for (let index = 0; index < half - 1; index += 1) {
    const header = Buffer.from(" ".repeat(8000) + keyOf(index)).toString();
    expect(map.get(header.slice(8000))).toBe(index);
  }
  expect(heapInUse() - before).toBeLessThan(3e6);
  expect(map.get(keyOf(0))).toBe(0);
});

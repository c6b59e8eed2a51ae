import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { goOn } from "../../src/at-once.js";

test("what is there already is gone on with at once", () => {
  for (const value of [undefined, null, 7, "text", { then: 1 }]) {
    expect(goOn(value, (same) => [same])).toEqual([value]);
  }
});

test("a promise is waited for, of whatever class it is", async () => {
  const foreign = runInNewContext("Promise.resolve(7)") as Promise<number>;
  expect(foreign).not.toBeInstanceOf(Promise);
  expect(await goOn(foreign, (value) => value + 1)).toBe(8);
  const own = globalThis.Promise;
  try {
    globalThis.Promise = class<Value> extends own<Value> {};
    const native = (async () => 7)();
    expect(await goOn(native, (value) => value + 1)).toBe(8);
  } finally {
    globalThis.Promise = own;
  }
});

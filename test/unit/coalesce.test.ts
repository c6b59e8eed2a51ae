import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { coalesce } from "../../src/store/coalesce.js";

function recording() {
  const loads: string[][] = [];
  const look = coalesce(async (keys) => {
    loads.push(keys);
    await turn();
    return new Map(keys.filter((key) => key !== "missing").map((key) => [key, `value of ${key}`]));
  });
  return { loads, look };
}

describe("look-ups of one turn", () => {
  test("are one load, whatever tick they come from", async () => {
    const { loads, look } = recording();
    const later = Promise.resolve().then(() => look("c"));
    const values = await Promise.all([look("a"), look("b"), later, look("missing")]);
    expect(values).toEqual(["value of a", "value of b", "value of c", undefined]);
    expect(loads).toEqual([["a", "b", "missing", "c"]]);
  });

  test("of one key are loaded once", async () => {
    const { loads, look } = recording();
    expect(await Promise.all([look("a"), look("a")])).toEqual(["value of a", "value of a"]);
    expect(loads).toEqual([["a"]]);
  });

  test("are not kept for the next turn", async () => {
    const { loads, look } = recording();
    await look("a");
    await look("a");
    expect(loads).toEqual([["a"], ["a"]]);
  });

  test("that come while a load is under way are the next load", async () => {
    const { loads, look } = recording();
    const first = look("a");
    await turn();
    const second = look("b");
    expect(await Promise.all([first, second])).toEqual(["value of a", "value of b"]);
    expect(loads).toEqual([["a"], ["b"]]);
  });
});

describe("a full batch", () => {
  test("is loaded at once; what comes after it in the same turn is the next", async () => {
    const loads: string[][] = [];
    const look = coalesce((keys) => {
      loads.push(keys);
      return Promise.resolve(new Map(keys.map((key) => [key, key])));
    }, 2);
    const values = ["a", "b", "a", "c", "b"].map((key) => look(key));
    expect(loads).toEqual([
      ["a", "b"],
      ["a", "c"],
    ]);
    expect(await Promise.all(values)).toEqual(["a", "b", "a", "c", "b"]);
    expect(loads).toHaveLength(3);
  });

  test("answers no look-up that came after it began to load", async () => {
    let version = 0;
    const look = coalesce((keys) => Promise.resolve(new Map(keys.map((key) => [key, version]))), 1);
    const before = look("a");
    version = 1;
    expect(await Promise.all([before, look("a")])).toEqual([0, 1]);
  });
});

test("a load that fails fails its own look-ups alone", async () => {
  let isDown = true;
  const look = coalesce((keys) =>
    isDown ? Promise.reject(new Error("down")) : Promise.resolve(new Map([[keys[0]!, 1]])),
  );
  const failed = await Promise.allSettled([look("a"), look("b")]);
  expect(failed.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  isDown = false;
  expect(await look("a")).toBe(1);
});

import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { type Brownout, meets, parseBrownout, windowAt } from "../../src/brownout.js";

const startsAt = new Date("2026-03-14T12:00:00Z");
const brownout: Brownout = {
  id: "rehearsal",
  share: 0.2,
  everyInSeconds: null,
  forInSeconds: null,
  startsAt,
  until: null,
};
const at = (seconds: number) => new Date(startsAt.getTime() + seconds * 1000);
const keys = Array.from({ length: 2000 }, (_, index) =>
  createHash("sha256").update(`${index}`).digest(),
);
const met = (of: Brownout, now = at(1)) => keys.filter((key) => meets(of, key, now));

describe("whom and when a brownout meets", () => {
  test("its share of the keys, the same ones all through a window", () => {
    for (const share of [0.01, 0.2, 0.5, 0.99]) {
      const found = met({ ...brownout, share });
      // Five standard deviations.
      const expected = 2000 * share;
      const spread = 5 * Math.sqrt(expected * (1 - share));
      expect(Math.abs(found.length - expected)).toBeLessThan(spread);
      expect(met({ ...brownout, share }, at(86_400))).toEqual(found);
    }
    expect(met({ ...brownout, share: 1 })).toHaveLength(2000);
  });

  test("others under another id, and others in the next window", () => {
    const windows = { ...brownout, everyInSeconds: 3600, forInSeconds: 300 };
    const first = new Set(met(windows, at(10)));
    expect(met(windows, at(299))).toEqual([...first]);
    for (const found of [met({ ...windows, id: "another" }, at(10)), met(windows, at(3610))]) {
      const again = found.filter((key) => first.has(key)).length;
      // Those met twice are a share of a share: about 80 of 400.
      expect(again).toBeLessThan(160);
      expect(again).toBeGreaterThan(20);
    }
  });

  test("only in its windows, from its start until its end", () => {
    const windows = { ...brownout, everyInSeconds: 3600, forInSeconds: 300, until: at(7300) };
    const times = [-1, 0, 299, 300, 3599, 3600, 3899, 3900, 7200, 7299, 7300, 10_800];
    expect(times.map((seconds) => windowAt(windows, at(seconds)))).toEqual([
      undefined,
      0,
      0,
      undefined,
      undefined,
      1,
      1,
      undefined,
      2,
      2,
      undefined,
      undefined,
    ]);
    expect(windowAt(brownout, at(1e9))).toBe(0);
  });

  test("what is stored is read, and nothing else taken for one", () => {
    expect(parseBrownout(JSON.parse(JSON.stringify(brownout)))).toEqual(brownout);
    const until = at(60);
    expect(parseBrownout(JSON.parse(JSON.stringify({ ...brownout, until })))).toEqual({
      ...brownout,
      until,
    });
    const wrong = [
      null,
      "text",
      {},
      { ...brownout, share: 0 },
      { ...brownout, share: 1.01 },
      { ...brownout, share: Number.NaN },
      { ...brownout, share: "0.5" },
      { ...brownout, id: 1 },
      { ...brownout, startsAt: "some day" },
      // It would never end.
      { ...brownout, until: "some day" },
      { ...brownout, until: 5 },
    ];
    for (const stored of wrong) expect(parseBrownout(stored)).toBeUndefined();
  });
});

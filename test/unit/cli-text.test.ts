import { describe, expect, test } from "vitest";
import { type Brownout, nextChange } from "../../src/brownout.js";
import { readBrownout } from "../../src/cli/brownout.js";
import { UsageError } from "../../src/cli/command.js";
import { describeBrownout } from "../../src/cli/describe-brownout.js";
import { readOperator } from "../../src/cli/operator.js";
import { createStyle } from "../../src/cli/style.js";
import { columns, cut, percent, span, wrap } from "../../src/cli/text.js";

const now = new Date("2026-11-21T12:00:00Z");
const none: Parameters<typeof readBrownout>[0] = {
  share: undefined,
  every: undefined,
  for: undefined,
  until: undefined,
};
const later = (seconds: number) => new Date(now.getTime() + seconds * 1000);

describe("a brownout's options", () => {
  test("say its share, its windows and its end", () => {
    expect(
      readBrownout({ ...none, share: "5%", every: "1h", for: "5m", until: "2d" }, now),
    ).toEqual({
      id: expect.stringMatching(/^[\da-f-]{36}$/) as string,
      share: 0.05,
      everyInSeconds: 3600,
      forInSeconds: 300,
      startsAt: now,
      until: later(2 * 86_400),
    });
    const once = readBrownout({ ...none, for: "10m" }, now);
    expect(once).toMatchObject({ share: 0.05, everyInSeconds: null, until: later(600) });
    expect(readBrownout({ ...none, share: "0.5" }, now)).toMatchObject({ share: 0.5, until: null });
    const until = readBrownout({ ...none, until: "2026-12-01T06:00Z" }, now).until;
    expect(until).toEqual(new Date("2026-12-01T06:00:00Z"));
  });

  const wrong: Record<string, Record<string, string>> = {
    "--share must be above 0": { share: "0%" },
    "--share must be": { share: "101%" },
    "at most 100%": { share: "5 percent" },
    "--every needs --for": { every: "1h" },
    "--for must be shorter than --every": { every: "5m", for: "5m" },
    "--for must be a duration": { for: "5" },
    "--every must be a duration such as 90s, 5m, 1h or 2d, at most 3650d": {
      every: "3651d",
      for: "5m",
    },
    "--until must be a duration": { until: "99999999999999d" },
    "give one of them": { for: "5m", until: "1d" },
    "--until must be a time": { until: "tomorrow" },
    "--until must be in the future": { until: "2026-11-21T11:59Z" },
  };
  for (const [message, given] of Object.entries(wrong)) {
    test(`wrong: ${JSON.stringify(given)}`, () => {
      expect(() => readBrownout({ ...none, ...given }, now)).toThrow(UsageError);
      expect(() => readBrownout({ ...none, ...given }, now)).toThrow(message);
    });
  }
});

test("a brownout is described with when it goes on or off next", () => {
  const brownout: Brownout = {
    id: "a",
    share: 0.05,
    everyInSeconds: 3600,
    forInSeconds: 300,
    startsAt: now,
    until: later(7000),
  };
  expect(describeBrownout(brownout, later(60))).toBe(
    "5 % of the cookies, for 5 min every 1 h, until 2026-11-21 13:56 UTC; on now, until 12:05 UTC (in 4 min)",
  );
  expect(describeBrownout(brownout, later(600))).toMatch(
    /; off now, on again at 13:00 UTC \(in 50 min\)$/,
  );
  expect(describeBrownout(brownout, later(3700))).toMatch(/; on now, until 13:05 UTC/);
  expect(describeBrownout(brownout, later(4000))).toMatch(/; over$/);
  const endless = { ...brownout, everyInSeconds: null, forInSeconds: null, until: null };
  expect(describeBrownout(endless, later(60))).toBe(
    "5 % of the cookies, until it is stopped; on now",
  );
  expect(nextChange({ ...brownout, until: later(100) }, later(60))).toEqual(later(100));
  expect(nextChange(brownout, later(-60))).toEqual(now);
  expect(nextChange(brownout, later(7000))).toBeNull();
});

test("who and why are short and of one line", () => {
  expect(readOperator({ by: " ada ", reason: "why" })).toEqual({ by: "ada", reason: "why" });
  expect(readOperator({}).by).toMatch(/^.+@.+$/);
  for (const by of ["", " ", "a\nb", "\u001b[31m", "x".repeat(81)])
    expect(() => readOperator({ by }), by).toThrow(UsageError);
  expect(() => readOperator({ reason: "x".repeat(201) })).toThrow("--reason must have at most 200");
});

test("colour is for terminals, FORCE_COLOR before NO_COLOR", () => {
  const red = (isTTY: boolean, env: Record<string, string>) =>
    createStyle({ isTTY }, env).red("a") !== "a";
  expect(red(true, {})).toBe(true);
  expect(red(false, {})).toBe(false);
  expect(red(true, { NO_COLOR: "1" })).toBe(false);
  expect(red(true, { NO_COLOR: "" })).toBe(true);
  expect(red(true, { TERM: "dumb" })).toBe(false);
  expect(red(false, { FORCE_COLOR: "1", NO_COLOR: "1" })).toBe(true);
  expect(red(true, { FORCE_COLOR: "0" })).toBe(false);
});

test("columns align by what is seen, numbers to the right with their heading", () => {
  const { red } = createStyle({}, { FORCE_COLOR: "1" });
  const lines = columns([
    ["name", "count", "text"],
    [red("a"), "1,000", "x"],
    ["long", "7", ""],
  ]);
  expect(lines).toEqual(["name  count  text", `${red("a")}     1,000  x`, "long      7"]);
});

test("a line is cut by what is seen, and ends its colours", () => {
  const { red } = createStyle({}, { FORCE_COLOR: "1" });
  expect(cut("abcdef", 6)).toBe("abcdef");
  expect(cut("abcdef", 4)).toBe("abc…");
  expect(cut(`ab${red("cdef")}g`, 4)).toBe(`ab${red("c…")}`);
});

test("text wraps at spaces", () => {
  expect(wrap("one two three", 8, "- ", "  ")).toEqual(["- one", "  two", "  three"]);
  expect(wrap("averylongword b", 4)).toEqual(["averylongword", "b"]);
});

test("spans and shares are short and honest", () => {
  const spans = [0, 59, 61, 3600, 5400, 86_400, 90_000, 40 * 86_400].map(span);
  expect(spans).toEqual([
    "0 s",
    "59 s",
    "1 min 1 s",
    "1 h",
    "1 h 30 min",
    "1 day",
    "1 day 1 h",
    "40 days",
  ]);
  expect([percent(0, 0), percent(1, 1e6), percent(1, 50), percent(1, 2)]).toEqual([
    "0 %",
    "<0.01 %",
    "2.00 %",
    "50.0 %",
  ]);
});

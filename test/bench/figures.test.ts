import { format } from "prettier";
import { describe, expect, test } from "vitest";
import { someOf, UsageError, wholeNumber } from "../../bench/arguments.js";
import { drawChart } from "../../bench/chart.js";
import { isFlat } from "../../bench/flat.js";
import { readWrk } from "../../bench/load.js";
import type { Measurement } from "../../bench/measure.js";
import { inRound, scenariosOf, usersOf } from "../../bench/plan.js";
import { between } from "../../bench/publish.js";
import { median, resultTable } from "../../bench/table.js";
import { variants } from "../../bench/variants.js";

const round = (requestsPerSecond: number): Measurement => ({
  requestsPerSecond,
  p50Ms: 3.44,
  p99Ms: 20,
  cpuSecondsPer10k: 0.567,
  residentBytes: 100 * 2 ** 20,
  statementsPerRequest: 0.018,
});

describe("the table", () => {
  const results = [
    {
      variant: { id: "strict", name: "tokenSession", isOwn: true as const },
      rounds: [30_000, 9_000, 12_000].map(round),
    },
    { variant: { id: "koa-session", name: "koa-session, old store" }, rounds: [4_000].map(round) },
  ];

  test("has the median, the extremes and the ratios", () => {
    const [, , strict, oldWay] = resultTable(results)
      .split("\n")
      .map((line) =>
        line
          .split("|")
          .map((cell) => cell.trim())
          .slice(1, -1),
      );
    expect(strict).toEqual([
      "**tokenSession**",
      "12,000",
      "9,000–30,000",
      "3.4",
      "20.0",
      "0.57",
      "100",
      "0.02",
      "3.00",
      "–",
    ]);
    expect(oldWay?.slice(-2)).toEqual(["1.00", "–"]);
  });

  test("is as Prettier would have it", async () => {
    const table = `${resultTable(results)}\n`;
    expect(await format(table, { parser: "markdown" })).toBe(table);
  });

  test("takes the mean of the two in the middle", () => {
    expect(median([5, 1, 3])).toBe(3);
    expect(median([10, 1, 2, 4])).toBe(3);
  });
});

describe("the chart", () => {
  const bars = [
    { name: "a < b & c", value: 1_000, isOwn: false },
    { name: "ours", value: 2_000, isOwn: true },
  ];
  const svg = drawChart([{ title: "Reading", bars }]);

  test("has the longest bar first and ours marked", () => {
    expect(svg.indexOf("2,000")).toBeLessThan(svg.indexOf("1,000"));
    expect(/<g class="own">.*ours/.exec(svg)).not.toBeNull();
    const [long, short] = [...svg.matchAll(/<rect [^>]*width="([\d.]+)"/g)].map(([, each]) =>
      Number(each),
    );
    expect(long).toBeCloseTo(2 * short!);
  });

  test("takes any name for text, and follows the reader's colours", () => {
    expect(svg).toContain("a &lt; b &amp; c");
    expect(svg).toContain("prefers-color-scheme: dark");
  });
});

describe("what goes into the page", () => {
  const page = (text: string) =>
    `above\n\n<!-- written by npm run bench -- --write -->${text}<!-- end of what the bench wrote -->\n\nbelow`;

  test("replaces what was there, and nothing else", () => {
    expect(between(page("\n\nold\n\n"), "new")).toBe(page("\n\nnew\n\n"));
  });

  test("needs its place", () => {
    expect(() => between("a page", "new")).toThrow("README.md has no line");
  });
});

describe("memory", () => {
  test("is flat when the last third is like the second, whatever the first was", () => {
    expect(isFlat([10, 60, 90, 100, 101, 99, 100, 109, 108])).toBe(true);
    expect(isFlat([10, 60, 90, 100, 101, 99, 60, 70, 70])).toBe(true);
  });

  test("is not when it goes on growing", () => {
    expect(isFlat([70, 80, 90, 100, 101, 102, 111, 114, 120])).toBe(false);
  });

  test("takes some samples to tell", () => {
    expect(() => isFlat([1, 2])).toThrow("too short");
  });
});

test("wrk's results are in the line that the script writes", () => {
  const line = `{"requests":10,"seconds":1.1,"p50Ms":2.5,"p99Ms":9,"refused":1,"broken":2}`;
  expect(readWrk(`Running 1s test\n  10 requests\n\n${line}\n`)).toEqual(JSON.parse(line));
  expect(() => readWrk("unable to connect")).toThrow("unable to connect");
});

describe("the plan", () => {
  test("gives no user to two variants, and none of the checks' to the load", () => {
    const users = variants.flatMap((variant) => {
      const { loaded, checked } = usersOf(variant, 2_000, 64);
      return [...loaded, ...checked];
    });
    expect(new Set(users).size).toBe(users.length);
    expect(Math.min(...users)).toBeGreaterThanOrEqual(1);
    expect(Math.max(...users)).toBeLessThanOrEqual(2_000);
  });

  test("spreads them over all sessions", () => {
    const { loaded } = usersOf(variants[0]!, 1_000_000, 64);
    expect(loaded.length).toBeLessThan(2_001);
    expect(Math.max(...loaded)).toBeGreaterThan(990_000);
  });

  test("wants a session for every connection", () => {
    expect(() => usersOf(variants[0]!, 200, 64)).toThrow(UsageError);
  });

  test("begins each round with another variant", () => {
    expect([0, 1, 2, 3].map((round) => inRound(["a", "b", "c"], round).join(""))).toEqual([
      "abc",
      "bca",
      "cab",
      "abc",
    ]);
  });

  test("reads by few connections only where they are fewer", () => {
    expect(scenariosOf(64).map(({ connections }) => connections)).toEqual([64, 4, 64]);
    expect(scenariosOf(2).map(({ id }) => id)).toEqual(["read", "count"]);
  });
});

describe("the command line", () => {
  test("counts in thousands and millions", () => {
    expect(["7", "100k", "10M"].map((text) => wholeNumber("sessions", text))).toEqual([
      7, 100_000, 10_000_000,
    ]);
  });

  test.each(["0", "-1", "1.5", "many", ""])("refuses %j", (text) => {
    expect(() => wholeNumber("rounds", text)).toThrow(/--rounds must be a whole number/);
  });

  test("names what there is when something is unknown", () => {
    expect(someOf("only", "a, b", ["a", "b", "c"])).toEqual(["a", "b"]);
    expect(() => someOf("only", "a,d", ["a", "b"])).toThrow('--only knows no "d"; there are a, b.');
  });
});

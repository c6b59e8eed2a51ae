import { describe, expect, test } from "vitest";
import type { DayStatus, SourceStatus } from "../../src/monitor/migration-status.js";
import { type Facts, judge, unseenUntil } from "../../src/monitor/verdict.js";

const now = new Date("2026-11-21T12:00:00Z");
const dayMs = 24 * 60 * 60 * 1000;
const inDays = (days: number) => new Date(now.getTime() + days * dayMs);

/** Thirty days up to today; `of` gives [by cookie alone, by token] for an age in days. */
function month(of: (age: number) => [legacy: number, bearer: number]): DayStatus[] {
  return Array.from({ length: 30 }, (_, index) => {
    const age = 29 - index;
    const [legacy, bearer] = of(age);
    return { day: inDays(-age).toISOString().slice(0, 10), hits: {}, legacy, bearer, dropped: 0 };
  });
}

const source = (more: Partial<SourceStatus> = {}): SourceStatus => ({
  name: "koa-session:app",
  live: 10,
  adopted: 10,
  remaining: 0,
  withoutExpiry: 0,
  lastExpiresAt: null,
  notUpgraded: { count: 0, lastExpiresAt: null },
  cookieMaxAgeInSeconds: 86_400,
  ...more,
});

const facts = (more: Partial<Facts>): Facts => ({
  now,
  mode: "bridge",
  modes: [],
  days: month(() => [0, 0]),
  sources: [source()],
  cookiesGivenOn: "2026-11-20",
  ...more,
});

describe("before anything else", () => {
  test("processes in different modes: not yet, whatever the counts say", () => {
    const days = month(() => [0, 1000]);
    expect(judge(facts({ modes: ["drain", "bridge", "drain"], days }))).toEqual({
      answer: "not yet",
      reasons: [expect.stringContaining("different modes (bridge, drain)")],
      estimatedAt: null,
    });
    expect(judge(facts({ modes: ["bridge", "bridge"], days })).answer).toBe("safe to drain");
  });

  test("observe offers nobody tokens", () => {
    const days = month(() => [0, 1000]);
    const { answer, reasons } = judge(facts({ mode: "observe", days }));
    expect(answer).toBe("not yet");
    expect(reasons[0]).toContain("go to bridge first");
  });
});

describe("in bridge: safe to drain?", () => {
  test("no request counted", () => {
    const days = month((age) => (age > 7 ? [0, 1000] : [0, 0]));
    const { answer, reasons } = judge(facts({ days }));
    expect([answer, ...reasons]).toEqual([
      "not yet",
      "no request with a session has been counted in the last 7 days",
    ]);
  });

  test("under 1 % of a week", () => {
    expect(judge(facts({ days: month(() => [9, 991]) }))).toEqual({
      answer: "safe to drain",
      reasons: [
        "0.90 % of the requests with a session came by cookie alone in the last 7 days (63 requests), under 1 %",
      ],
      estimatedAt: null,
    });
    expect(judge(facts({ days: month(() => [10, 990]) })).answer).toBe("not yet");
    expect(judge(facts({ days: month(() => [0, 990]) })).reasons[0]).toMatch(/^0\.00 % .*0 requ/);
    const few = month((age) => [age === 1 ? 1 : 0, 9999]);
    expect(judge(facts({ days: few })).reasons[0]).toMatch(/^under 0\.01 % .*\(1 request\)/);
  });

  test("what came before the week does not count", () => {
    expect(judge(facts({ days: month((age) => [age > 6 ? 1000 : 1, 999]) })).answer).toBe(
      "safe to drain",
    );
  });

  test("a week must have been counted", () => {
    const days = (since: number) => month((age) => (age <= since ? [1, 999] : [0, 0]));
    expect(judge(facts({ days: days(2) }))).toEqual({
      answer: "not yet",
      reasons: [expect.stringContaining("counted since 2026-11-19 only")],
      estimatedAt: inDays(4),
    });
    expect(judge(facts({ days: days(5) })).answer).toBe("not yet");
    expect(judge(facts({ days: days(6) })).answer).toBe("safe to drain");
  });

  test("a share that falls gives a date, and that date is right", () => {
    // Falls by 20 % a day, 16 % today: 1 % in ln(16) / -ln(0.8) days, of a week in half a week more.
    const days = month((age) => [160_000 * 0.8 ** -age, 1_000_000 - 160_000 * 0.8 ** -age]);
    const { estimatedAt, reasons } = judge(facts({ days: days.slice(-14) }));
    expect(reasons[0]).toContain("could not log in any more");
    const expected = Math.log(16) / -Math.log(0.8) + 3.5;
    expect((estimatedAt!.getTime() - now.getTime()) / dayMs).toBeCloseTo(expected, 3);
  });

  test("no date for a share that stays, grows, falls too slowly or has too few days", () => {
    const shares: ((age: number) => [number, number])[] = [
      () => [100, 900],
      (age) => [500 - age, 500],
      (age) => [500_000 + age, 500_000],
      (age) => (age < 2 ? [100 + 50 * age, 900] : [0, 0]),
    ];
    for (const share of shares) {
      expect(judge(facts({ days: month(share) }))).toMatchObject({
        answer: "not yet",
        estimatedAt: null,
      });
    }
  });
});

describe("in drain: safe to drop?", () => {
  const drop = (more: Partial<Facts>) => judge(facts({ mode: "drain", ...more }));

  test("every session adopted or ended", () => {
    const sources = [source({ adopted: 1200 }), source({ name: "b", adopted: 1 })];
    expect(drop({ sources })).toEqual({
      answer: "safe to drop",
      reasons: ["no live session is opened by a cookie alone (1,201 sessions adopted)"],
      estimatedAt: null,
    });
  });

  test("nothing known of the old systems is not safe", () => {
    expect(drop({ sources: [] })).toMatchObject({ answer: "not yet", estimatedAt: null });
  });

  test("sessions that only a cookie opens, until the last of them expires", () => {
    const sources = [
      source({ remaining: 1, lastExpiresAt: inDays(2) }),
      source({ name: "b", remaining: 3000, lastExpiresAt: inDays(9) }),
    ];
    expect(drop({ sources })).toEqual({
      answer: "not yet",
      reasons: [
        "koa-session:app: 1 session is opened by a cookie alone",
        "b: 3,000 sessions are opened by a cookie alone",
      ],
      estimatedAt: inDays(9),
    });
  });

  test("a cookie whose end nobody knows gives no date", () => {
    const { reasons, estimatedAt } = drop({
      sources: [source({ remaining: 5, withoutExpiry: 2, lastExpiresAt: inDays(3) })],
    });
    expect(reasons[0]).toContain("2 of these cookies have no known end and count until 30 days");
    expect(estimatedAt).toBeNull();
  });

  test("sessions of an old table that never came back", () => {
    const notUpgraded = { count: 7, lastExpiresAt: inDays(5) };
    expect(drop({ sources: [source({ notUpgraded })] })).toEqual({
      answer: "not yet",
      reasons: ["koa-session:app: 7 sessions have not come back since the bridge is in place"],
      estimatedAt: inDays(5),
    });
  });

  describe("a source that cannot be counted", () => {
    const uncountable = (cookieMaxAgeInSeconds: number | null) => [
      source({ notUpgraded: null, cookieMaxAgeInSeconds }),
    ];

    test("waits for the last cookie that was given", () => {
      const sources = uncountable(90 * 86_400);
      const long = drop({ sources, cookiesGivenOn: "2026-10-01" });
      expect(long.reasons[0]).toContain("cookies given until 2026-10-01 may come until 2026-12-31");
      expect(long.estimatedAt).toEqual(new Date("2026-12-31T00:00:00Z"));
      expect(drop({ sources, cookiesGivenOn: "2026-08-01" }).answer).toBe("safe to drop");
    });

    test("30 days are assumed of cookies without an end", () => {
      const { reasons, estimatedAt } = drop({
        sources: uncountable(null),
        cookiesGivenOn: "2026-11-01",
      });
      expect(reasons[0]).toContain("30 days since their last use are assumed");
      expect(estimatedAt).toEqual(new Date("2026-12-02T00:00:00Z"));
    });

    test("is not safe while nothing tells when cookies were given", () => {
      const verdict = drop({ sources: uncountable(60), cookiesGivenOn: null });
      expect(verdict).toMatchObject({ answer: "not yet", estimatedAt: null });
      expect(verdict.reasons[0]).toContain("no request has been counted");
    });
  });

  test("one end that is unknown leaves the date open", () => {
    const sources = [
      source({ remaining: 1, lastExpiresAt: inDays(2) }),
      source({ name: "b", remaining: 1, withoutExpiry: 1 }),
    ];
    expect(drop({ sources })).toMatchObject({ answer: "not yet", estimatedAt: null });
  });
});

test("in tokens: cookies are refused already, and how many came is told", () => {
  const days = month(() => [0, 0]).map((day, index) => ({ ...day, dropped: index < 23 ? 5 : 0 }));
  days.at(-1)!.dropped = 1;
  expect(judge(facts({ mode: "tokens", days }))).toEqual({
    answer: "safe to drop",
    reasons: ["cookies are refused already; 1 cookie was dropped in the last 7 days"],
    estimatedAt: null,
  });
});

test("an unseen cookie may come until the end of its last day, and its lifetime", () => {
  const cookie = { name: "a", cookieMaxAgeInSeconds: 3600 };
  const days = month(() => [1, 0]).map((day) => ({ ...day, hits: { a: 1 } }));
  expect(unseenUntil(cookie, "2026-11-20", days)).toEqual(new Date("2026-11-21T01:00:00Z"));
  expect(unseenUntil(cookie, null, days)).toBeNull();
});

test("a cookie without an end that is in use may come 30 days later, by whichever day is the later", () => {
  const cookie = { name: "a", cookieMaxAgeInSeconds: null };
  const usedOn = (name: string, age: number) =>
    month(() => [0, 0]).map((day, index) =>
      index === 29 - age ? { ...day, hits: { [name]: 1 } } : day,
    );
  const until = (days: DayStatus[]) =>
    unseenUntil(cookie, "2026-11-01", days)?.toISOString().slice(0, 10);
  expect(until(usedOn("a", 0))).toBe("2026-12-22");
  expect(until(usedOn("a", 25))).toBe("2026-12-02");
  expect(until(usedOn("another", 0))).toBe("2026-12-02");
});

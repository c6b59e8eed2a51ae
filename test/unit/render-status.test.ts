import { describe, expect, test } from "vitest";
import { nextStep } from "../../src/cli/next-step.js";
import { renderStatus } from "../../src/cli/render-status.js";
import { createStyle } from "../../src/cli/style.js";
import type { MigrationStatus, ProcessStatus } from "../../src/monitor/migration-status.js";

const at = new Date("2026-11-21T12:00:00Z");
const dayMs = 24 * 60 * 60 * 1000;
const style = createStyle({}, {});

const process = (more: Partial<ProcessStatus> = {}): ProcessStatus => ({
  id: "1",
  host: "web-1",
  pid: 1,
  node: "v20",
  mode: "bridge",
  modeFrom: "database",
  sources: [],
  cookieLingerInSeconds: 86_400,
  poolMax: 10,
  isBehindProxy: false,
  signingKeys: ["a"],
  startedAt: at,
  seenAt: at,
  ...more,
});

const source = (name: string, withoutExpiry = 0) => ({
  name,
  live: 3,
  adopted: 1,
  remaining: 2,
  withoutExpiry,
  lastExpiresAt: new Date(at.getTime() + 3 * dayMs),
  notUpgraded: { count: 7, lastExpiresAt: new Date(at.getTime() + 5 * dayMs) },
  cookieMaxAgeInSeconds: 86_400,
});

const none = { hit: 0, missed: 0, unverified: 0, retired: 0, redundant: 0, dropped: 0 };

function statusWith(more: Partial<MigrationStatus> = {}): MigrationStatus {
  return {
    at,
    mode: "bridge",
    changes: [],
    brownout: null,
    processes: [process()],
    days: Array.from({ length: 30 }, (_, index) => ({
      day: new Date(at.getTime() - (29 - index) * dayMs).toISOString().slice(0, 10),
      hits: { a: index + 1, b: 1 },
      legacy: index + 2,
      bearer: 100_000,
      dropped: 0,
    })),
    legacyCookies: { a: { ...none, hit: 10 }, b: none },
    brownouts: { a: 0, b: 0 },
    requests: { bearer: 50, legacy: 50, none: 0, invalid: 0, refresh: 0 },
    upgraded: 1,
    offered: 2,
    adopted: 3,
    refreshes: { rotated: 4, repeated: 1, reused: 6 },
    tokensRefused: {},
    refusals: { "invalid-token": 8, "store-unavailable": 1, "legacy-store-unavailable": 2 },
    merged: 0,
    errors: 0,
    sources: [source("a"), source("b", 2)],
    stragglers: [
      { source: "a", labels: { client: "ios/1\u001b[2J" }, hits: 9, lastDay: "2026-11-21" },
    ],
    lastCookieExpiresAt: new Date(at.getTime() + 5 * dayMs),
    verdict: { answer: "not yet", reasons: ["because of this and that"], estimatedAt: at },
    ...more,
  };
}

const page = (
  more: Partial<MigrationStatus> = {},
  size: { width?: number; height?: number } = {},
) => renderStatus(statusWith(more), { style, width: 110, ...size });

describe("the page", () => {
  test("has a column for each of several sources, and bars in which little is still seen", () => {
    const lines = page();
    expect(lines.find((line) => /^ {2}day/.test(line))).toMatch(/day +cookie alone +a +b +token/);
    const days = lines.filter((line) => /^ {2}2026-/.test(line));
    expect(days).toHaveLength(30);
    for (const day of days) expect(day).toMatch(/ █░+$/);
    expect(lines.find((line) => /^ {2}b /.test(line))).toMatch(/2026-11-26, not known of 2$/);
    expect(lines.join("\n")).toContain(
      "The last cookie expires on 2026-11-26; of 2 the end is not known",
    );
  });

  test("counts 401, 503, refreshes and reuse", () => {
    const text = page().join("\n");
    expect(text).toMatch(/401 +8$/m);
    expect(text).toMatch(/503 +3$/m);
    expect(text).toMatch(/Refreshed +5 /);
    expect(text).toMatch(/Reused +6$/m);
  });

  test("fits its width and shows fewer days in a low window", () => {
    for (const line of page()) expect(line.length).toBeLessThanOrEqual(110);
    const low = page({}, { height: 45 });
    expect(low.length).toBeLessThan(45);
    expect(low.length).toBeGreaterThan(40);
    expect(page({}, { height: 10 }).filter((line) => /^ {2}2026-/.test(line))).toHaveLength(7);
  });

  test("shows nothing that moves the terminal", () => {
    const changes = [
      {
        mode: "bridge",
        from: null,
        brownout: null,
        changedAt: at,
        changedBy: "a\u001b[31m",
        reason: "x\ny",
      },
    ];
    const text = page({ changes, processes: [process({ host: "h\u0007" })] }).join("");
    expect(text).not.toMatch(/\p{Control}/u);
  });

  test("tells of a brownout, and of a flag that nobody follows", () => {
    const brownout = {
      id: "a",
      share: 0.05,
      everyInSeconds: null,
      forInSeconds: null,
      startsAt: at,
      until: null,
      isOn: true,
    };
    const changes = [
      { mode: "drain", from: "bridge", brownout, changedAt: at, changedBy: "ada", reason: null },
    ];
    const text = page({ brownout, changes }).join("\n");
    expect(text).toMatch(/^Brownout +5 % of the cookies, until it is stopped; on now$/m);
    expect(text).toMatch(/^Mode +bridge, the database says drain$/m);
  });
});

describe("the next step", () => {
  const next = (
    mode: MigrationStatus["mode"],
    answer: MigrationStatus["verdict"]["answer"],
    processes = [process({ mode })],
  ) =>
    nextStep(statusWith({ mode, processes, verdict: { answer, reasons: [], estimatedAt: null } }));

  test("is the very command, where the verdict allows it", () => {
    expect(next("observe", "not yet")).toBe("koa-session-bridge mode bridge");
    expect(next("bridge", "not yet")).toBeUndefined();
    expect(next("bridge", "safe to drain")).toBe("koa-session-bridge mode drain");
    expect(next("drain", "not yet")).toBeUndefined();
    expect(next("drain", "safe to drop")).toBe("koa-session-bridge mode tokens");
  });

  test("in tokens is to wait while cookies still come", () => {
    const day = { day: "2026-11-21", hits: {}, legacy: 0, bearer: 9, dropped: 0 };
    const verdict = { answer: "safe to drop", reasons: [], estimatedAt: null } as const;
    const after = (more: Partial<typeof day>) =>
      nextStep(statusWith({ mode: "tokens", verdict, days: [{ ...day, ...more }] }));
    expect(after({})).toContain("take the bridge out");
    expect(after({ dropped: 1 })).toContain("keep this mode");
    expect(after({ legacy: 1 })).toContain("keep this mode");
  });

  test("is another where the processes do not follow the database", () => {
    const from = (modeFrom: ProcessStatus["modeFrom"]) => [process({ modeFrom })];
    expect(next("bridge", "safe to drain", from("option"))).toContain(`option mode give "drain"`);
    expect(next("bridge", "safe to drain", from("environment"))).toContain(
      "SESSION_BRIDGE_MODE=drain",
    );
    const mixed = [process(), process({ mode: "observe" })];
    expect(next("observe", "not yet", mixed)).toBeUndefined();
  });
});

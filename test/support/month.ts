import { randomUUID } from "node:crypto";
import type pg from "pg";

const dayMs = 24 * 60 * 60 * 1000;

/** What the seeded month is like. */
export interface MonthOptions {
  readonly now?: Date;
  /** Of cookie requests today; they fell by 20 % a day. */
  readonly hitsToday?: number;
  readonly mode?: "observe" | "bridge" | "drain" | "tokens";
  /** Sessions that only a cookie opens. */
  readonly remaining?: number;
  readonly processes?: readonly { readonly mode?: string; readonly about?: object }[];
}

/** What a process of the seeded fleet tells of itself. */
export const aboutProcess = (more: object = {}) => ({
  host: "web-1",
  pid: 4211,
  node: "v20.20.2",
  modeFrom: "database",
  cookieLingerInSeconds: 86_400,
  poolMax: 10,
  isBehindProxy: true,
  signingKeys: ["2026-11"],
  sources: [
    {
      name: "koa-session:app.sess",
      hasOldStore: true,
      cookieMaxAgeInSeconds: 14 * 86_400,
      table: null,
    },
  ],
  ...more,
});

/** Fills a database with a month of a migration: counts, processes, the flag's history and sessions. */
export async function seedMonth(pool: pg.Pool, options: MonthOptions = {}): Promise<void> {
  const { now = new Date(), hitsToday = 40, mode = "bridge", remaining = 12 } = options;
  const hits: unknown[][] = [];
  const add = (
    day: string,
    counter: string,
    source: string,
    outcome: string,
    count: number,
    labels = {},
  ) => {
    if (count >= 1) hits.push([day, counter, source, outcome, labels, Math.round(count)]);
  };
  const source = "koa-session:app.sess";
  for (let age = 29; age >= 0; age -= 1) {
    const day = new Date(now.getTime() - age * dayMs).toISOString().slice(0, 10);
    const total = 52_000 + 9000 * Math.sin(age * 0.9);
    const cookie = Math.min(hitsToday * 1.25 ** age, total * (age > 26 ? 1 : 0.97));
    const was = age > 26 ? "observe" : mode === "drain" && age > 1 ? "bridge" : mode;
    add(day, "requests", was, "legacy", cookie);
    add(day, "requests", was, "bearer", total - cookie);
    add(day, "requests", was, "none", total * 0.2);
    add(day, "requests", was, "invalid", total * 0.001);
    add(day, "requests", was, "refresh", (total - cookie) * 0.04);
    add(day, "legacy_cookies", source, "hit", cookie * 0.7, { client: "ios/3.9" });
    add(day, "legacy_cookies", source, "hit", cookie * 0.25, { client: "android/5.1" });
    add(day, "legacy_cookies", source, "hit", cookie * 0.05, { client: "cron" });
    add(day, "legacy_cookies", source, "missed", total * 0.01);
    add(day, "legacy_cookies", source, "redundant", (total - cookie) * 0.3);
    add(day, "upgrades", source, "", cookie * 0.03);
    add(day, "offers", source, "", cookie * 0.1);
    add(day, "adoptions", source, "", cookie * 0.028);
    add(day, "refreshes", "", "rotated", (total - cookie) * 0.04);
    add(day, "refusals", "", "invalid-token", total * 0.001);
    add(day, "merged_commits", "", "", 7);
  }
  for (const [day, counter, from, outcome, labels, count] of hits) {
    await pool.query(
      `insert into "sessionBridgeHit" ("day", "counter", "source", "outcome", "labels", "count")
      values ($1, $2, $3, $4, $5, $6)`,
      [day, counter, from, outcome, labels, count],
    );
  }
  const flips = [
    ["observe", 29, "the first deploy"],
    ["bridge", 26, "observed for three days"],
    ...(mode === "drain" || mode === "tokens" ? [["drain", 1, "under 1 % by cookie"]] : []),
    ...(mode === "tokens" ? [["tokens", 0.5, null]] : []),
  ].slice(0, mode === "observe" ? 1 : undefined);
  for (const [to, age, reason] of flips) {
    await pool.query(
      `insert into "sessionBridgeMode" ("mode", "changedAt", "changedBy", "reason") values ($1, $2, 'ada@ops', $3)`,
      [to, new Date(now.getTime() - Number(age) * dayMs), reason],
    );
  }
  for (const process of options.processes ?? [{}, { about: { host: "web-2", pid: 311 } }])
    await seedProcess(pool, { mode, ...process }, now);
  await seedSessions(pool, source, { live: 600, remaining, now });
}

/** A process of the fleet that has just been seen. */
export async function seedProcess(
  pool: pg.Pool,
  process: { readonly mode: string; readonly about?: object },
  now = new Date(),
): Promise<string> {
  const id = randomUUID();
  await pool.query(
    `insert into "sessionBridgeProcess" ("id", "flush", "mode", "about", "startedAt", "seenAt")
    values ($1, 1, $2, $3, $4, $5)`,
    [id, process.mode, aboutProcess(process.about), new Date(now.getTime() - dayMs), now],
  );
  return id;
}

async function seedSessions(
  pool: pg.Pool,
  source: string,
  { live, remaining, now }: { live: number; remaining: number; now: Date },
): Promise<void> {
  await pool.query(
    `with sessions as (
      insert into "sessionStore" ("checksum", "data", "createdAt", "updatedAt")
      select 'x', jsonb_build_object('userId', i), $2, $2 from generate_series(1, $1::int) i
      returning "id", ("data"->>'userId')::int as "number"
    )
    insert into "sessionBridgeLink" ("key", "source", "session", "adoptedAt", "expiresAt", "createdAt")
    select sha256(convert_to("id"::text, 'UTF8')), $3, "id", case when "number" > $4::int then $2::timestamptz end,
      $2::timestamptz + make_interval(hours => 30 + "number" % 200), $2 from sessions`,
    [live, now, source, remaining],
  );
}

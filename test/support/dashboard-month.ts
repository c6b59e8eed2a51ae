import type pg from "pg";

/** The sources of the seeded month: one whose old store cannot count, one with a table of its own. */
export const monthSources = ["koa-session:koa.sess", "express-session:connect.sid"] as const;

/** Who comes by cookie, by how much of it at first, and how fast that falls from day to day. */
const clients = [
  { labels: { client: "web" }, source: 0, share: 0.52, keeps: 0.78 },
  { labels: { client: "ios 5.2" }, source: 0, share: 0.2, keeps: 0.84 },
  { labels: { client: "android 5.1" }, source: 0, share: 0.16, keeps: 0.85 },
  { labels: { client: "ios 4.9" }, source: 0, share: 0.05, keeps: 0.92 },
  { labels: { client: "partner-export 1.9" }, source: 1, share: 0.02, keeps: 1 },
  { labels: { client: "android 4.4" }, source: 0, share: 0.03, keeps: 0.94 },
  { labels: { client: "kiosk 2.0" }, source: 1, share: 0.02, keeps: 0.96 },
] as const;

const requestsADay = 48_000;
const offersFrom = 5;
const millisecondsPerDay = 24 * 60 * 60 * 1000;

interface Row {
  readonly day: string;
  readonly counter: string;
  readonly source: string;
  readonly outcome: string;
  readonly labels: object;
  readonly count: number;
}

/**
 * Thirty days of a migration that goes well: on the sixth day the mode became `bridge`, requests by cookie
 * fall, those with a token rise, a few old clients are left.
 */
export async function seedMonth(pool: pg.Pool, now: Date): Promise<void> {
  await insertHits(pool, hitsOf(now));
  await insertSessions(pool, now, [
    { source: 0, live: 18_412, adopted: 17_986, endsInDays: 12 },
    { source: 1, live: 1284, adopted: 1102, endsInDays: 5 },
  ]);
  const changes = [
    [29, "observe", null, "priya", "counting first"],
    [24, "bridge", null, "priya", "offers on, clients 5.x are in the stores"],
    [3, "bridge", brownout(now), "jonas", "who still cannot refresh?"],
    [2, "bridge", null, "jonas", "kiosk 2.0 reported it, fix is on its way"],
  ] as const;
  for (const [age, mode, stored, by, reason] of changes) {
    await pool.query(
      `insert into "sessionBridgeMode" ("mode", "brownout", "changedAt", "changedBy", "reason")
      values ($1, $2::jsonb, $3, $4, $5)`,
      [mode, stored && JSON.stringify(stored), daysAgo(now, age), by, reason],
    );
  }
  const about = (host: string, pid: number) =>
    JSON.stringify({ host, pid, node: "v22.11.0", modeFrom: "database", sources: [] });
  for (const [index, host] of ["api-1", "api-2", "api-3"].entries()) {
    await pool.query(
      `insert into "sessionBridgeProcess" ("id", "flush", "mode", "about", "startedAt", "seenAt")
      values (gen_random_uuid(), 1, 'bridge', $1::jsonb, $2, $3)`,
      [about(host, 4100 + 37 * index), daysAgo(now, 2.4), daysAgo(now, (3 + 9 * index) / 86_400)],
    );
  }
}

const daysAgo = (now: Date, days: number) => new Date(now.getTime() - days * millisecondsPerDay);

const brownout = (now: Date) => ({
  id: "kiosk-rehearsal",
  share: 0.1,
  everyInSeconds: 3600,
  forInSeconds: 300,
  startsAt: daysAgo(now, 3),
  until: daysAgo(now, 2.5),
});

function hitsOf(now: Date): Row[] {
  const rows: Row[] = [];
  for (let age = 29; age >= 0; age -= 1) {
    const date = daysAgo(now, age);
    const day = date.toISOString().slice(0, 10);
    const elapsed = Math.max(0, 29 - age - offersFrom);
    const isWeekend = [0, 6].includes(date.getUTCDay());
    // Like noise, and the same in every run.
    const wave = 1 + 0.05 * Math.sin(age * 12.9898);
    const ofToday = age === 0 ? 0.45 : 1;
    const all = requestsADay * wave * ofToday * (isWeekend ? 0.72 : 1);
    const add = (counter: string, source: string, outcome: string, count: number, labels = {}) => {
      if (Math.round(count) > 0) {
        rows.push({ day, counter, source, outcome, labels, count: Math.round(count) });
      }
    };
    let byCookie = 0;
    for (const { labels, source, share, keeps } of clients) {
      const hits = all * share * (keeps === 1 ? 0.5 * 0.9 ** elapsed : keeps ** elapsed);
      byCookie += Math.round(hits);
      add("legacy_cookies", monthSources[source], "hit", hits, labels);
    }
    const mode = 29 - age < offersFrom ? "observe" : "bridge";
    const byToken = all - byCookie;
    add("requests", mode, "legacy", byCookie);
    add("requests", mode, "bearer", byToken);
    add("requests", mode, "none", all * 0.08);
    add("legacy_cookies", monthSources[0], "redundant", byToken * 0.11, { client: "web" });
    add("legacy_cookies", monthSources[0], "missed", all * 0.004, { client: "web" });
    add("legacy_cookies", monthSources[1], "retired", byToken * 0.002, { client: "kiosk 2.0" });
    if (mode === "observe") continue;
    add("upgrades", monthSources[0], "", 1700 * 0.8 ** elapsed + 90);
    add("refreshes", "", "rotated", byToken * 0.2);
    add("refreshes", "", "repeated", byToken * 0.0004);
    add("refreshes", "", "expired", byToken * 0.001);
    add("refused_tokens", "", "expired", byToken * 0.004);
    add("refusals", "", "invalid-token", byToken * 0.005);
    if (age === 9) add("refreshes", "", "reused", 2);
    if (age % 11 === 0) add("merged_commits", "", "", 3);
  }
  return rows;
}

async function insertHits(pool: pg.Pool, rows: readonly Row[]): Promise<void> {
  await pool.query(
    `insert into "sessionBridgeHit" ("day", "counter", "source", "outcome", "labels", "count")
    select * from jsonb_to_recordset($1::jsonb) as h ("day" date, "counter" varchar, "source" varchar,
      "outcome" varchar, "labels" jsonb, "count" bigint)`,
    [JSON.stringify(rows)],
  );
}

async function insertSessions(
  pool: pg.Pool,
  now: Date,
  sets: readonly { source: 0 | 1; live: number; adopted: number; endsInDays: number }[],
): Promise<void> {
  for (const { source, live, adopted, endsInDays } of sets) {
    await pool.query(
      `with session as (
        insert into "sessionStore" ("checksum", "data", "createdAt", "updatedAt")
        select '', '{}', $1, $1 from generate_series(1, $3::int) returning "id"
      )
      insert into "sessionBridgeLink" ("key", "source", "session", "adoptedAt", "expiresAt", "createdAt")
      select sha256(convert_to($2::text || "id"::text, 'UTF8')), $2, "id",
        case when row_number() over () <= $4::int then $1::timestamptz end,
        $5::timestamptz - make_interval(hours => (row_number() over ())::int % 100), $1
      from session`,
      [daysAgo(now, 4), monthSources[source], live, adopted, daysAgo(now, -endsInDays)],
    );
  }
}

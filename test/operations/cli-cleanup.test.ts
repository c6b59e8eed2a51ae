import { afterAll, beforeAll, expect, test } from "vitest";
import { cli } from "../support/cli.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { seedProcess } from "../support/month.js";

let database: TestDatabase;
const env = () => ({ DATABASE_URL: database.url });
const dayMs = 24 * 60 * 60 * 1000;

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.drop());

/** Sessions with a pair each: some expired, some revoked and tied to a cookie that has expired. */
async function seed({ live, expired, ended }: { live: number; expired: number; ended: number }) {
  await database.pool.query(
    `with sessions as (
      insert into "sessionStore" ("checksum", "data", "createdAt", "updatedAt", "revokedAt")
      select 'x', '{}', now() - interval '60 days', now() - interval '30 days',
        case when i > $1::int + $2::int then now() - interval '30 days' end
      from generate_series(1, $1::int + $2::int + $3::int) i
      returning "id", "revokedAt"
    ), numbered as (select "id", "revokedAt", row_number() over (order by "revokedAt" nulls first, "id") as n from sessions
    ), refresh as (
      insert into "sessionStoreToken" ("id", "session", "expiresAt", "revokedAt")
      select gen_random_uuid(), "id", now() + case when n > $1 then interval '-20 days' else interval '9 days' end, "revokedAt"
      from numbered returning "id", "session", "expiresAt"
    ), access as (
      insert into "sessionStoreToken" ("session", "expiresAt", "refreshToken")
      select "session", "expiresAt" - interval '9 days', "id" from refresh
    )
    insert into "sessionBridgeLink" ("key", "source", "session", "expiresAt", "adoptedAt")
    select sha256(convert_to("id"::text, 'UTF8')), 'a', "id", now() - interval '15 days', now() - interval '40 days'
    from numbered where "revokedAt" is not null`,
    [live, expired, ended],
  );
}

async function counts() {
  const { rows } = await database.pool.query(
    `select (select count(*)::int from "sessionStore") as "sessions",
      (select count(*)::int from "sessionStoreToken") as "tokens",
      (select count(*)::int from "sessionBridgeLink") as "links",
      (select count(*)::int from "sessionBridgeHit") as "hits",
      (select count(*)::int from "sessionBridgeProcess") as "processes"`,
  );
  return rows[0] as Record<string, number>;
}

test("the dry run counts what the run then deletes, and deletes nothing", async () => {
  await seed({ live: 20, expired: 30, ended: 10 });
  for (const age of [1, 399, 401, 500]) {
    const day = new Date(Date.now() - age * dayMs).toISOString().slice(0, 10);
    await database.pool.query(
      `insert into "sessionBridgeHit" values ($1, 'requests', 'bridge', 'legacy', '{}', 1)`,
      [day],
    );
  }
  await seedProcess(database.pool, { mode: "bridge" });
  await seedProcess(database.pool, { mode: "bridge" }, new Date(Date.now() - 31 * dayMs));
  const gone = { refreshTokens: 40, sessions: 40, links: 10, counts: 2, processes: 1 };
  const before = await counts();
  const dry = await cli(["cleanup", "--dry-run", "--json", "--batch-size", "7"], env());
  expect(dry.code).toBe(0);
  expect(JSON.parse(dry.stdout)).toEqual({ isDryRun: true, isComplete: true, ...gone });
  expect(await counts()).toEqual(before);
  const run = await cli(["cleanup", "--batch-size", "7"], env());
  expect(run.code).toBe(0);
  expect(run.stdout).toMatch(
    /^Deleted in \d+ s\n {2}Refresh tokens.* 40\n {2}Sessions +40\n.*cookies +10\n {2}Counts +2\n {2}Processes +1\n$/,
  );
  expect(run.stderr).toMatch(/100 % 40 refresh tokens, 40 sessions, 10 tombstones\n$/);
  expect(await counts()).toEqual({ sessions: 20, tokens: 40, links: 0, hits: 2, processes: 1 });
});

test("interrupted, it says how far it came, and the next run does the rest", async () => {
  await database.pool.query(`truncate "sessionStore" cascade`);
  await seed({ live: 20, expired: 1500, ended: 0 });
  const args = ["cleanup", "--batch-size", "20", "--pause-ms", "100"];
  const stopped = await cli(args, env(), {
    interruptWhen: (_, stderr) => / % /.test(stderr),
  });
  expect(stopped.code).toBe(130);
  expect(stopped.stderr).toMatch(/Interrupted after \d+ %\. Run it again/);
  const left = (await counts())["tokens"]!;
  expect(left).toBeGreaterThan(40);
  expect(left).toBeLessThan(3040);
  expect((await cli(["cleanup"], env())).code).toBe(0);
  expect(await counts()).toMatchObject({ sessions: 20, tokens: 40 });
});

test("wrong numbers are wrong usage", async () => {
  const wrong = [
    ["--batch-size", "0"],
    ["--batch-size", "1.5"],
    ["--max-revoked-age-in-days", "-1"],
    ["--pause-ms", "x"],
  ];
  const runs = await Promise.all(wrong.map((args) => cli(["cleanup", args.join("=")], env())));
  for (const { code, stderr } of runs) {
    expect(code).toBe(2);
    expect(stderr).toMatch(/^--[a-z-]+ must be /);
  }
});

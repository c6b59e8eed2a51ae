import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type pg from "pg";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type RunningApp, startBridgedApp } from "../support/app.js";
import { Browser } from "../support/client.js";
import { testDatabase, type TestDatabase } from "../support/database.js";
import { compasSystem } from "../support/systems/compas.js";

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const worker = fileURLToPath(new URL("../support/backfill-worker.ts", import.meta.url));
const total = 100_000;
const clients = 4;

vi.setConfig({ testTimeout: 240_000 });

const system = compasSystem();
let database: TestDatabase;
let app: RunningApp;
beforeEach(async () => {
  database = await testDatabase();
  await system.prepare(database.pool);
  const application = system.on(database.pool);
  app = await startBridgedApp(database.pool, {
    ...application.bridged,
    legacy: application.source(),
  });
});
afterEach(async () => {
  await app.close();
  await database.drop();
});

async function seed(pool: pg.Pool): Promise<void> {
  await pool.query(
    `insert into "session" ("expires", "data")
    select now() + interval '6 days', jsonb_build_object('userId', 'user-' || i, 'count', 0,
      '_expire', (extract(epoch from now() + interval '6 days') * 1000)::bigint, '_maxAge', 518400000)
    from generate_series(1, $1::int) i`,
    [total],
  );
}

async function count(query: string): Promise<number> {
  const { rows } = await database.pool.query<{ count: number }>(query);
  return rows[0]?.count ?? 0;
}
const links = () => count(`select count(*)::int as "count" from "sessionBridgeLink"`);

interface Run {
  readonly child: ChildProcess;
  readonly output: { stdout: string; stderr: string };
  readonly ended: Promise<number | null>;
}

function start(...args: string[]): Run {
  const child = spawn(
    process.execPath,
    ["--import", "tsx", main, "backfill", "--app", worker, ...args],
    {
      env: { ...process.env, DATABASE_URL: database.url, SESSION_BRIDGE_MODE: "bridge" },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (text: Buffer) => (output.stdout += text.toString()));
  child.stderr.on("data", (text: Buffer) => (output.stderr += text.toString()));
  const ended = once(child, "close").then(([code]) => code as number | null);
  return { child, output, ended };
}

async function interrupt(run: Run, signal: NodeJS.Signals, afterLinks: number): Promise<void> {
  await expect.poll(links, { timeout: 60_000, interval: 50 }).toBeGreaterThan(afterLinks);
  run.child.kill(signal);
}

test(`${total} sessions are upgraded once each, beside live traffic, though stopped and killed`, async () => {
  await seed(database.pool);
  const { rows: users } = await database.pool.query<{ id: string }>(
    `select "id"::text as "id" from "session" order by md5("id"::text) limit 4000`,
  );
  // Each user comes back again and again; new ones come all the time.
  const counted = new Map<string, number>();
  let isOver = false;
  const visits = Array.from({ length: clients }, async (_, client) => {
    for (let turn = 0; !isOver; turn += 1) {
      const user = users[((Math.floor(turn / 3) % 1000) * clients + client) % users.length]!;
      const browser = new Browser(app.url);
      for (const [name, value] of Object.entries(system.cookiesOfId!(user.id))) {
        browser.cookies.set(name, value);
      }
      const { status, body } = await browser.get("/count");
      const expected = (counted.get(user.id) ?? 0) + 1;
      expect({ status, count: body.session?.count }).toEqual({ status: 200, count: expected });
      counted.set(user.id, expected);
    }
  });

  try {
    const stopped = start("--rate", "20000");
    await interrupt(stopped, "SIGINT", 20_000);
    expect(await stopped.ended).toBe(130);
    const left = total - (await links());
    expect(stopped.output.stderr).toMatch(/Stopped: [\d,]+ sessions left\. Run the command again/);
    expect(left).toBeGreaterThan(0);

    const killed = start("--rate", "20000");
    await interrupt(killed, "SIGKILL", total - left + 20_000);
    expect(await killed.ended).toBeNull();
    expect(await links()).toBeLessThan(total);

    const last = start("--rate", "20000", "--json");
    expect(await last.ended).toBe(0);
    const { sources } = JSON.parse(last.output.stdout);
    expect(sources).toMatchObject({ "compas:oldapp.sess": { gone: 0, failed: 0 } });
  } finally {
    isOver = true;
    await Promise.all(visits);
  }

  expect(await links()).toBe(total);
  const shapes = await database.pool.query(
    `select count(*)::int as "sessions", count(distinct l."session")::int as "linked",
      count(*) filter (where s."revokedAt" is null)::int as "live",
      count(distinct s."data"->>'userId')::int as "users"
    from "sessionStore" s join "sessionBridgeLink" l on l."session" = s."id"`,
  );
  expect(shapes.rows).toEqual([{ sessions: total, linked: total, live: total, users: total }]);
  expect(await count(`select count(*)::int as "count" from "sessionStore"`)).toBe(total);
  const tokens = await database.pool.query(
    `select "tokens", count(*)::int as "sessions" from (
      select count(*)::int as "tokens" from "sessionStoreToken" group by "session") x group by "tokens"`,
  );
  expect(tokens.rows).toEqual([{ tokens: 2, sessions: total }]);

  // Whatever a visitor was told is what the session, and the old store, hold.
  expect(counted.size).toBeGreaterThan(100);
  const { rows: held } = await database.pool.query<{ id: string; now: number; old: number }>(
    `select o."id"::text as "id", (s."data"->>'count')::int as "now", (o."data"->>'count')::int as "old"
    from "session" o
    join "sessionBridgeLink" l on l."key" = sha256('compas:oldapp.sess'::bytea || '\\000'::bytea || convert_to(o."id"::text, 'UTF8'))
    join "sessionStore" s on s."id" = l."session"
    where o."id" = any($1::uuid[])`,
    [[...counted.keys()]],
  );
  const expected = [...counted].map(([id, visits]) => ({ id, now: visits, old: visits }));
  const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1);
  expect(held.sort(byId)).toEqual(expected.sort(byId));
  expect(app.bridgeErrors).toEqual([]);
});

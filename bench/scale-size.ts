import pg from "pg";
import { createCompasTables, everyStatement } from "../test/support/every-statement.js";
import { seedManySessions } from "../test/support/many-sessions.js";
import {
  readWholeTables,
  referenceLookUps,
  readsWholeTable,
  scansOf,
} from "../test/support/plans.js";
import { headerOf } from "./credentials.js";
import { findLoadGenerator, type LoadResult, writeRequests } from "./load.js";
import { importBuilt } from "./product.js";
import { serve } from "./serve.js";
import type { Stage } from "./stage.js";
import { median } from "./table.js";

/** A database with many sessions, and what is asked of it. */
export interface Size {
  readonly sessions: number;
  readonly expired: number;
  readonly seedSeconds: number;
  /** Of tables and of indexes, for each session with one pair of tokens, live or expired. */
  readonly bytesPerSession: { readonly heap: number; readonly indexes: number };
  /** Statements of requests that PostgreSQL would carry out by reading a whole table. */
  readonly wholeTables: readonly string[];
  /** Strict reads over a spread sample of all live sessions. */
  read(seconds: number): Promise<LoadResult>;
  /** Runs the clean-up while requests go on; see {@link CleanUp}. */
  cleanUp(): Promise<CleanUp>;
  close(): Promise<void>;
}

/** A clean-up beside live requests, to its end. */
export interface CleanUp {
  readonly sessions: number;
  readonly seconds: number;
  /** Of the live requests, without it and while it ran: the median of windows of a few seconds. */
  readonly p99Ms: { readonly without: number; readonly during: number };
}

const expiredAtMost = 500_000;
const windowInSeconds = 3;
const quietWindows = 4;

/** Makes a database of its own with so many live sessions, and some that have expired. */
export async function prepareSize(
  { world, pool: admin, folder, signal }: Stage,
  options: { sessions: number; tokens: number; connections: number },
): Promise<Size> {
  const { sessions, connections } = options;
  const expired = Math.min(expiredAtMost, Math.floor(sessions / 2));
  const tokens = await importBuilt<typeof import("../src/tokens/index.js")>(
    { url: world.product },
    "tokens/index.js",
  );
  const open = async (name: string) => {
    await admin.query(`create database ${name}`);
    const url = new URL(world.databaseUrl);
    url.pathname = `/${name}`;
    const pool = new pg.Pool({ connectionString: url.href, max: 1 });
    pool.on("error", () => undefined);
    await tokens.migrate(pool);
    await createCompasTables(pool);
    return { url: url.href, pool };
  };
  const empty = await open(`empty_${sessions}`);
  const statements = await everyStatement(empty.pool);
  await empty.pool.end();

  const { url, pool } = await open(`sessions_${sessions}`);
  const startedAt = performance.now();
  await seedManySessions(pool, { live: sessions, expired, linkedEvery: 10 });
  const seedSeconds = (performance.now() - startedAt) / 1000;
  const whole = new Set<string>();
  for (const each of [...statements, ...(await referenceLookUps(pool))]) {
    if (readWholeTables.includes(each.name)) continue;
    if (readsWholeTable(await scansOf(pool, each))) whole.add(each.name);
  }

  const sample = Math.min(options.tokens, sessions);
  const requests = await writeRequests(
    folder,
    `scale-${sessions}`,
    Array.from({ length: sample }, (_, index) => {
      const n = expired + 1 + Math.floor((index * sessions) / sample);
      return { method: "GET", path: `/read/${n}`, header: headerOf(world.secrets, "bearer", n) };
    }),
  );
  const load = findLoadGenerator();
  const served = await serve("strict", { ...world, databaseUrl: url });

  async function read(seconds: number): Promise<LoadResult> {
    const { port } = served;
    const result = await load.run({ port, requests, connections, seconds, apart: false }, signal);
    if (result.refused + result.broken > 0) {
      throw new Error(`${result.refused} requests were refused and ${result.broken} broke.`);
    }
    return result;
  }

  return {
    sessions,
    expired,
    seedSeconds,
    bytesPerSession: await bytesPerRow(pool, sessions + expired),
    wholeTables: [...whole],
    read,
    async cleanUp() {
      const store = tokens.createSessionStore({
        pool,
        signingKeys: [{ kid: "clean-up", alg: "HS256", key: world.secrets.signingKey }],
      });
      const quiet: LoadResult[] = [];
      for (let window = 0; window < quietWindows; window += 1)
        quiet.push(await read(windowInSeconds));
      const busy: LoadResult[] = [];
      let isOver = false;
      let cleanedAt = 0;
      const startedAt = performance.now();
      const cleaning = store.cleanupExpiredSessions().finally(() => {
        isOver = true;
        cleanedAt = performance.now();
      });
      // Whoever waits for it comes later.
      cleaning.catch(() => undefined);
      do {
        const result = await read(windowInSeconds);
        // The last window is for the most part without it.
        if (!isOver || busy.length === 0) busy.push(result);
      } while (!isOver);
      const cleaned = await cleaning;
      const seconds = (cleanedAt - startedAt) / 1000;
      if (cleaned.sessions !== expired) {
        throw new Error(`${cleaned.sessions} sessions went, but ${expired} had expired.`);
      }
      const p99Ms = { without: typicalP99(quiet), during: typicalP99(busy) };
      return { sessions: cleaned.sessions, seconds, p99Ms };
    },
    async close() {
      await served.stop();
      await pool.end();
      await admin.query(`drop database sessions_${sessions} with (force)`);
    },
  };
}

const typicalP99 = (results: readonly LoadResult[]) => median(results.map(({ p99Ms }) => p99Ms));

async function bytesPerRow(pool: pg.Pool, count: number): Promise<Size["bytesPerSession"]> {
  const { rows } = await pool.query<{ heap: number; indexes: number }>(
    `select sum(pg_table_size(t))::float8 / $1::int as "heap", sum(pg_indexes_size(t))::float8 / $1::int as "indexes"
    from unnest(array['"sessionStore"', '"sessionStoreToken"']::regclass[]) t`,
    [count],
  );
  return rows[0] ?? { heap: 0, indexes: 0 };
}

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { startEmbeddedPostgres } from "../test/support/postgres-server.js";
import { newSecrets } from "./credentials.js";
import { buildProduct, importBuilt } from "./product.js";
import { type Served, serve, type World } from "./serve.js";

/** What a benchmark plays on: the built package and a migrated PostgreSQL of its own. */
export interface Stage {
  readonly world: World;
  /** One connection, for seeding and looking. */
  readonly pool: pg.Pool;
  /** For files; goes with the stage. */
  readonly folder: string;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** Runs `work` with the server of a variant, which is stopped afterwards. */
  withServer<Result>(variant: string, work: (server: Served) => Promise<Result>): Promise<Result>;
}

const quarterOfMemory = `${Math.floor(totalmem() / 4 / 2 ** 20)}MB`;

/**
 * Unlike the tests' server it keeps what it has committed. A quarter of the memory for shared buffers is what
 * PostgreSQL's documentation begins with (https://www.postgresql.org/docs/current/runtime-config-resource.html);
 * the rest is its default.
 */
export const serverSettings: Readonly<Record<string, string>> = {
  fsync: "on",
  full_page_writes: "on",
  shared_buffers: quarterOfMemory,
  max_wal_size: "4GB",
};

/** Tells what is going on, on stderr. */
export function tell(message: string): void {
  process.stderr.write(`${message}\n`);
}

/**
 * Builds the package, starts PostgreSQL and runs `work`; whatever it started is gone afterwards, also after
 * Ctrl-C. Gives the exit code: that of `work`, 1 with a sentence when it throws, 130 when interrupted.
 */
export async function onStage(work: (stage: Stage) => Promise<number>): Promise<number> {
  const interruption = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(name, () => interruption.abort());
  }
  const { signal } = interruption;
  const cleanUp: (() => Promise<unknown>)[] = [];
  try {
    tell("Building the package and starting PostgreSQL.");
    const product = await buildProduct(signal);
    cleanUp.push(() => product.remove());
    const folder = await mkdtemp(join(tmpdir(), "session-bridge-bench-"));
    cleanUp.push(() => rm(folder, { recursive: true, force: true }));
    const postgres = await startEmbeddedPostgres({ settings: serverSettings });
    cleanUp.push(() => postgres.close());
    const pool = new pg.Pool({ connectionString: postgres.url, max: 1 });
    pool.on("error", () => undefined);
    cleanUp.push(() => pool.end());
    const { migrate } = await importBuilt<typeof import("../src/tokens/index.js")>(
      product,
      "tokens/index.js",
    );
    await migrate(pool);
    const world = { databaseUrl: postgres.url, product: product.url, secrets: newSecrets() };
    return await work({
      world,
      pool,
      folder,
      signal,
      async withServer(variant, work) {
        signal.throwIfAborted();
        const server = await serve(variant, world);
        try {
          return await work(server);
        } finally {
          await server.stop();
          // The triggers of the option cache cost every writer: no other variant is to have them.
          await pool.query(`drop function if exists "sessionBridgeTellChange"() cascade`);
        }
      },
    });
  } catch (error) {
    if (signal.aborted) return 130;
    tell(`\n${(error as Error).message}`);
    return 1;
  } finally {
    for (const step of cleanUp.reverse()) await step();
  }
}

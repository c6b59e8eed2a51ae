import { randomBytes } from "node:crypto";
import pg from "pg";
import { inject } from "vitest";
import { startPgBouncer } from "./pgbouncer.js";
import { startEmbeddedPostgres, type PostgresServer } from "./postgres-server.js";
import { expectNoLeaks, secrets } from "./secrets.js";
import { countStatements, type StatementCount } from "./statements.js";
import { createTemplateDatabase, databaseUrl, withAdmin } from "./template-database.js";

/** A migrated database of one test's own. */
export interface TestDatabase {
  /** For further pools, such as those of other processes. */
  readonly url: string;
  /** To PostgreSQL itself, also when `url` and `pool` go through PgBouncer. */
  readonly directUrl: string;
  /** At most ten connections. */
  readonly pool: pg.Pool;
  /** What `pool` sent since the database was made, or since `statements.reset()`. */
  readonly statements: StatementCount;
  /** The live array of `statements`. */
  readonly queries: string[];
  /**
   * Ends the pool, every other connection to the database, and the database. Fails when a secret of
   * the tests was in a row.
   */
  drop(): Promise<void>;
}

/** A fresh database on the run's PostgreSQL. */
export async function testDatabase(): Promise<TestDatabase> {
  const { adminUrl, url, template } = inject("postgres");
  if (typeof template !== "string") {
    throw new Error(`The migrations of this run failed:\n${template.problem}`);
  }
  return copyOfTemplate(adminUrl, url, template);
}

/**
 * A fresh database on a PostgreSQL of its own, for tests that stop the server; through a PgBouncer of
 * its own when the run goes through one. `drop()` removes all of it.
 */
export async function databaseOfItsOwnServer(): Promise<TestDatabase & { server: PostgresServer }> {
  const server = await startEmbeddedPostgres();
  const bouncer = inject("postgres").pooled
    ? await startPgBouncer(server.url, { queryWaitTimeoutInSeconds: 2 })
    : undefined;
  const close = async (): Promise<void> => {
    await bouncer?.close();
    await server.close();
  };
  try {
    const template = await createTemplateDatabase(server.url);
    const database = await copyOfTemplate(server.url, bouncer?.url ?? server.url, template.name);
    const drop = async (): Promise<void> => {
      const leaks = await secrets.leaksInRows(database.directUrl);
      if (!database.pool.ended) await database.pool.end();
      await close();
      expectNoLeaks(leaks);
    };
    return { ...database, server, drop };
  } catch (error) {
    await close();
    throw error;
  }
}

async function copyOfTemplate(
  adminUrl: string,
  serverUrl: string,
  template: string,
): Promise<TestDatabase> {
  const name = `bridge_test_${randomBytes(6).toString("hex")}`;
  await withAdmin(adminUrl, (admin) => admin.query(`create database ${name} template ${template}`));
  const url = databaseUrl(serverUrl, name);
  const pool = new pg.Pool({ connectionString: url, max: 10 });
  // Without a listener, a connection that the server ends would end the process.
  pool.on("error", () => undefined);
  const statements = countStatements(pool);
  const directUrl = databaseUrl(adminUrl, name);
  return {
    url,
    directUrl,
    pool,
    statements,
    queries: statements.texts,
    drop: async () => {
      const leaks = await secrets.leaksInRows(directUrl);
      if (!pool.ended) await pool.end();
      await withAdmin(adminUrl, (admin) =>
        admin.query(`drop database if exists ${name} with (force)`),
      );
      expectNoLeaks(leaks);
    },
  };
}

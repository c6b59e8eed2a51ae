import pg from "pg";
import { BridgeError } from "../errors.js";
import { createDatabase, type Database } from "../store/database.js";
import { CommandError, UsageError } from "./command.js";

/** The option that every command with a database has. */
export const databaseOption = { database: { type: "string" } } as const;

export const databaseHelp = `  --database  connection string; default: the environment variable DATABASE_URL`;

/**
 * Connects, works, and disconnects. A failure to reach the database is a {@link CommandError} that says
 * why, without the password.
 */
export async function withDatabase<Result>(
  given: string | undefined,
  work: (db: Database, pool: pg.Pool) => Promise<Result>,
): Promise<Result> {
  const connectionString = given ?? process.env["DATABASE_URL"] ?? "";
  if (connectionString === "")
    throw new UsageError("No database: give --database or set DATABASE_URL.");
  if (!/^postgres(?:ql)?:\/\//.test(connectionString))
    throw new UsageError("The database must be given as postgres://user@host:port/name.");
  const pool = new pg.Pool({ connectionString, max: 4, connectionTimeoutMillis: 10_000 });
  // A connection that is lost while nobody uses it: the next statement tells.
  pool.on("error", () => undefined);
  const db = createDatabase({
    pool,
    preparedStatements: false,
    clock: () => new Date(),
    generateId: () => crypto.randomUUID(),
  });
  try {
    return await work(db, pool);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new CommandError(reasonOf(error));
  } finally {
    await pool.end();
  }
}

/** Why something failed: of an error of the bridge its private cause as well, since an operator asks. */
export function reasonOf(error: unknown): string {
  // A failed connection to several addresses is an AggregateError without a message.
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join("; ");
  if (!(error instanceof Error)) return String(error);
  // The public is told of a log; here the reason follows.
  const isRefused = error instanceof BridgeError && error.code === "store-misconfigured";
  const message = isRefused ? "PostgreSQL refuses this role" : error.message;
  return error.cause === undefined ? message : `${message} (${reasonOf(error.cause)})`;
}

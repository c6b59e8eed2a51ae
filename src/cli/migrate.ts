import pg from "pg";
import { migrate } from "../store/migrate.js";
import { readArguments } from "./arguments.js";

const help = `Usage: koa-session-bridge migrate [--database URL] [--json]

Creates or updates the tables in PostgreSQL. Safe to repeat and to run from several machines at once.

Options:
  --database  connection string; default: the environment variable DATABASE_URL
  --json      print the result as JSON
  --help      show this

Examples:
  DATABASE_URL=postgres://app@localhost/app koa-session-bridge migrate
  koa-session-bridge migrate --database postgres://app@localhost/app --json

Exit codes: 0 up to date, 1 failed (nothing was changed), 2 wrong usage.
`;

export async function migrateCommand(args: string[]): Promise<number> {
  const values = readArguments(args, help, {
    database: { type: "string" },
    json: { type: "boolean", default: false },
  });
  if (typeof values === "number") return values;
  const connectionString = values.database ?? process.env["DATABASE_URL"];
  if (connectionString === undefined || connectionString === "") {
    process.stderr.write(`No database: give --database or set DATABASE_URL.\n\n${help}`);
    return 2;
  }
  const pool = new pg.Pool({ connectionString, max: 1, connectionTimeoutMillis: 10_000 });
  try {
    const applied = await migrate(pool);
    if (values.json) process.stdout.write(`${JSON.stringify({ applied })}\n`);
    else if (applied.length === 0) process.stdout.write("Up to date.\n");
    else process.stdout.write(applied.map((name) => `Applied ${name}\n`).join(""));
    return 0;
  } catch (error) {
    process.stderr.write(`Migration failed, nothing was changed: ${reason(error)}\n`);
    return 1;
  } finally {
    await pool.end();
  }
}

// A failed connection to several addresses is an AggregateError without a message.
function reason(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reason).join("; ");
  return error instanceof Error ? error.message : String(error);
}

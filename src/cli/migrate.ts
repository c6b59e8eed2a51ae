import type { Database } from "../store/database.js";
import { readServerFacts } from "../store/diagnose.js";
import { migrate, missingMigrations } from "../store/migrate.js";
import { grantMigrationTable, isForbidden } from "./check-database.js";
import { CommandError, defineCommand, printJson } from "./command.js";
import { databaseHelp, databaseOption, reasonOf, withDatabase } from "./connection.js";

const help = `Usage: koa-session-bridge migrate [--cache] [--check] [--database URL] [--json]

Creates or updates the tables in PostgreSQL. Safe to repeat and to run from several machines at once.

Options:
  --cache     also the triggers that the option cache needs; they slow down every change of a session
  --check     change nothing, tell what is missing; of the triggers only with --cache
${databaseHelp}
  --json      print the result as JSON
  --help      show this

Examples:
  DATABASE_URL=postgres://app@localhost/app koa-session-bridge migrate
  koa-session-bridge migrate --database postgres://app@localhost/app --json
  koa-session-bridge migrate --cache --check

Exit codes: 0 up to date, 1 failed (nothing was changed) or, with --check, something is missing,
2 wrong usage.
`;

export const migrateCommand = defineCommand({
  name: "migrate",
  summary: "create or update the tables in PostgreSQL",
  help,
  options: {
    ...databaseOption,
    cache: { type: "boolean", default: false },
    check: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
  run: ({ database, cache, check, json }) =>
    withDatabase(database, async (db, pool) => {
      if (check) {
        const missing = await missingMigrations(pool, { cache }).catch(async (error: unknown) => {
          throw new CommandError(
            `Which migrations are missing cannot be told: ${reasonOf(error)}${await adviceOf(db, error)}`,
          );
        });
        if (json) printJson({ missing });
        else if (missing.length === 0) process.stdout.write("Up to date.\n");
        else process.stdout.write(missing.map((name) => `Missing ${name}\n`).join(""));
        return missing.length === 0 ? 0 : 1;
      }
      const applied = await migrate(pool, { cache }).catch((error: unknown) => {
        throw new CommandError(`Migration failed, nothing was changed: ${reasonOf(error)}`);
      });
      if (json) printJson({ applied });
      else if (applied.length === 0) process.stdout.write("Up to date.\n");
      else process.stdout.write(applied.map((name) => `Applied ${name}\n`).join(""));
      return 0;
    }),
});

async function adviceOf(db: Database, error: unknown): Promise<string> {
  if (!isForbidden(error)) return "";
  const { role } = await readServerFacts(db);
  return `. ${grantMigrationTable(role)}`;
}

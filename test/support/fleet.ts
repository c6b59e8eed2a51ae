import type { ModeOption } from "../../src/index.js";
import { type Cluster, startWorkers } from "./cluster.js";
import type { TestDatabase } from "./database.js";
import { PgLegacyStore } from "./pg-legacy-store.js";

/** For an application that follows the flag in PostgreSQL: no mode of its own. */
export const flagInDatabase = { mode: undefined as unknown as ModeOption };

/** Processes of fleet-app.ts on a database. */
export async function startFleet(
  database: TestDatabase,
  count: number,
  environment: Readonly<Record<string, string>> = {},
): Promise<Cluster> {
  await new PgLegacyStore(database.pool).createTable();
  return startWorkers(count, new URL("fleet-app.ts", import.meta.url), {
    DATABASE_URL: database.url,
    ...environment,
  });
}

import type { TestProject } from "vitest/node";
import { providePostgres } from "./global-setup.js";

/** Like global-setup.ts, with PgBouncer in transaction mode between the tests and PostgreSQL. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  return providePostgres(project, { pooled: true });
}

import type { TestProject } from "vitest/node";
import { startPgBouncer } from "./pgbouncer.js";
import { createTemplateDatabase } from "./template-database.js";
import { startTestPostgres } from "./test-postgres.js";

/** What the test files learn about the run's PostgreSQL: `inject("postgres")`. */
export interface ProvidedPostgres {
  /** For statements about databases: PostgreSQL itself. */
  readonly adminUrl: string;
  /** For everything else: PostgreSQL itself, or a PgBouncer in front of it. */
  readonly url: string;
  /** A migrated database that nobody may connect to, to be copied. */
  readonly template: string | { readonly problem: string };
  /** Whether `url` is a PgBouncer. */
  readonly pooled: boolean;
}

declare module "vitest" {
  export interface ProvidedContext {
    postgres: ProvidedPostgres;
  }
}

/** Starts one PostgreSQL for the whole run. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  return providePostgres(project, { pooled: false });
}

/** With `pooled`, the tests reach it through PgBouncer in transaction mode. */
export async function providePostgres(
  project: TestProject,
  { pooled }: { pooled: boolean },
): Promise<() => Promise<void>> {
  const closing: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const step of closing.reverse()) await step();
  };
  try {
    const postgres = await startTestPostgres();
    closing.push(() => postgres.close());
    const template = await createTemplateDatabase(postgres.url).catch(problemOf);
    if ("drop" in template) closing.push(() => template.drop());
    const bouncer = pooled ? await startPgBouncer(postgres.url) : undefined;
    if (bouncer) closing.push(() => bouncer.close());
    project.provide("postgres", {
      adminUrl: postgres.url,
      url: bouncer?.url ?? postgres.url,
      template: "name" in template ? template.name : template,
      pooled,
    });
    return close;
  } catch (error) {
    await close();
    throw error;
  }
}

/** Tests that need no database can tell why a migration fails: they go on; the others say this. */
function problemOf(error: unknown): { problem: string } {
  return { problem: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

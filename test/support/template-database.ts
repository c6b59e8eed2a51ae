import { randomBytes } from "node:crypto";
import pg from "pg";

/**
 * The database that every test database is copied from: migrated once a run, since a copy takes
 * some 30 ms. Call `drop` at the end of the run.
 */
export interface TemplateDatabase {
  readonly name: string;
  drop(): Promise<void>;
}

export async function createTemplateDatabase(adminUrl: string): Promise<TemplateDatabase> {
  const name = `bridge_template_${randomBytes(6).toString("hex")}`;
  await withAdmin(adminUrl, (admin) => admin.query(`create database ${name}`));
  await migrateDatabase(databaseUrl(adminUrl, name));
  // PostgreSQL refuses to copy a database that anybody is connected to.
  await withAdmin(adminUrl, (admin) =>
    admin.query(`alter database ${name} with allow_connections false`),
  );
  return {
    name,
    drop: async () => {
      await withAdmin(adminUrl, (admin) => admin.query(`drop database if exists ${name}`));
    },
  };
}

/** Runs the package's own migrations. */
async function migrateDatabase(url: string): Promise<void> {
  const { migrate } = await import("../../src/tokens/index.js");
  const pool = new pg.Pool({ connectionString: url, max: 1 });
  pool.on("error", () => undefined);
  try {
    await migrate(pool);
  } finally {
    await pool.end();
  }
}

/** The same server and role, another database. */
export function databaseUrl(url: string, name: string): string {
  const other = new URL(url);
  other.pathname = `/${name}`;
  return other.href;
}

/** One connection for statements about databases; always to PostgreSQL itself, never a pooler. */
export async function withAdmin<T>(
  adminUrl: string,
  work: (admin: pg.Client) => Promise<T>,
): Promise<T> {
  const admin = new pg.Client({ connectionString: adminUrl });
  admin.on("error", () => undefined);
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.end().catch(() => undefined);
  }
}

import type { AboutSource } from "../monitor/about.js";
import type { Database } from "../store/database.js";
import {
  findMissingRights,
  findMissingTables,
  isPooled,
  type ServerFacts,
} from "../store/diagnose.js";
import { missingMigrations } from "../store/migrate.js";
import { readDatabaseClock } from "../store/read-status.js";
import { type Finding, ok, problem, warning } from "./finding.js";
import { plural } from "./text.js";

// sha256() came with it.
const minimumVersion = 110_000;
const skewWarningInSeconds = 1;
const skewProblemInSeconds = 5;

export function checkServer({ version, versionNumber, role }: ServerFacts): Finding {
  const text = `PostgreSQL ${version}, as ${role}`;
  if (versionNumber >= minimumVersion) return ok("database", text);
  return problem(
    "database",
    text,
    "PostgreSQL 11 or later is needed (for sha256): update the server.",
  );
}

/** `isReadable` is false where the tables that the other checks read are not there. */
export async function checkSchema(
  db: Database,
  { role }: ServerFacts,
): Promise<{ finding: Finding; isReadable: boolean }> {
  const missing = await missingMigrations(db.pool).catch((error: unknown) => {
    if (isForbidden(error)) return undefined;
    throw error;
  });
  if (missing === undefined) {
    const text = `${role} may not read which migrations were applied, so migrate() fails at the start`;
    return { finding: problem("schema", text, grantMigrationTable(role)), isReadable: true };
  }
  if (missing.length === 0) return { finding: ok("schema", "up to date"), isReadable: true };
  const text = `missing: ${missing.join(", ")}`;
  const advice = "Run: koa-session-bridge migrate";
  return { finding: problem("schema", text, advice), isReadable: false };
}

/** Whether the role lacks a right, by PostgreSQL's own error. */
export const isForbidden = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "42501";

/** What gives a role the right to see which migrations were applied. */
export const grantMigrationTable = (role: string): string =>
  `Run as the owner of the tables: grant select on "sessionBridgeMigration" to "${role}"`;

/** The tables of old stores that processes, or the application, say are beside the bridge's own. */
export async function checkOldTables(
  db: Database,
  sources: readonly AboutSource[],
): Promise<Finding[]> {
  const tables = sources.flatMap(({ table }) => (table === null ? [] : [table.name]));
  const missing = await findMissingTables(db, [...new Set(tables)]);
  return missing.map((table) => {
    const names = sources.filter((source) => source.table?.name === table).map(({ name }) => name);
    return problem(
      "old store",
      `the table ${table} of ${[...new Set(names)].join(", ")} does not exist in this database`,
      "Every request with its cookie gets 503. Is this the database that the old application used?",
    );
  });
}

/** Rights of the role of this command, which may be another than the application's. */
export async function checkRights(
  db: Database,
  { role }: ServerFacts,
  sources: readonly AboutSource[],
): Promise<Finding> {
  const tables = sources.flatMap(({ table }) => (table === null ? [] : [table.name]));
  const missing = await findMissingRights(db, tables);
  if (missing.length === 0) return ok("rights", `${role} may read and write all tables`);
  const list = missing.map(({ table, right }) => `${right} on ${table}`).join(", ");
  return problem(
    "rights",
    `${role} lacks ${list}`,
    "If the application connects as this role, grant them; the command line needs them as well.",
  );
}

export async function checkPooler(db: Database): Promise<Finding[]> {
  if ((await isPooled(db.pool)) !== true) return [];
  return [
    ok(
      "pooler",
      "a connection pooler stands in between: leave preparedStatements off unless it can do that, and give directPool a pool that goes past it",
    ),
  ];
}

/** The clock of this machine beside that of the database. */
export async function checkClock(db: Database): Promise<Finding> {
  const samples: { offset: number; halfTrip: number }[] = [];
  for (let round = 0; round < 3; round += 1) {
    const sentAt = Date.now();
    const theirs = await readDatabaseClock(db);
    const halfTrip = (Date.now() - sentAt) / 2;
    samples.push({ offset: sentAt + halfTrip - theirs.getTime(), halfTrip });
  }
  const best = samples.reduce((a, b) => (b.halfTrip < a.halfTrip ? b : a));
  return judgeClock(best.offset / 1000, best.halfTrip / 1000);
}

/**
 * @param offset of this machine's clock, in seconds; it is ahead when that is above zero
 * @param uncertainty half the round trip, in seconds
 */
export function judgeClock(offset: number, uncertainty: number): Finding {
  const skew = Math.max(0, Math.abs(offset) - uncertainty);
  const direction = offset > 0 ? "ahead of" : "behind";
  const text = `this machine is ${skew.toFixed(1)} s ${direction} the database`;
  const advice = "Let both follow NTP: tokens and rows are stamped by the application's clock.";
  if (skew > skewProblemInSeconds) return problem("clock", text, advice);
  if (skew > skewWarningInSeconds) return warning("clock", text, advice);
  return ok("clock", "agrees with the database's within a second");
}

/** The pools of all processes beside what the server takes. */
export function checkConnections(
  pools: readonly (number | null)[],
  { maximumConnections }: Pick<ServerFacts, "maximumConnections">,
): Finding[] {
  const known = pools.filter((size) => size !== null);
  if (known.length === 0) return [];
  const sum = known.reduce((total, size) => total + size, 0);
  const text = `${plural(known.length, "process", "processes")} may open ${plural(sum, "connection")}; the server takes ${maximumConnections}`;
  const advice = "Make the pools smaller, raise max_connections, or put a pooler in between.";
  if (sum > maximumConnections) return [problem("connections", text, advice)];
  if (sum > 0.8 * maximumConnections) return [warning("connections", text, advice)];
  return [ok("connections", text)];
}

import { type Database, type Pool, statement } from "./database.js";

/** The PostgreSQL that answers, and as whom it knows us. */
export interface ServerFacts {
  readonly version: string;
  /** Such as 180001. */
  readonly versionNumber: number;
  /** Without those reserved for superusers. */
  readonly maximumConnections: number;
  readonly role: string;
}

const readServer = statement<ServerFacts>(
  "read-server",
  `select current_setting('server_version') as "version",
    current_setting('server_version_num')::int as "versionNumber",
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
      as "maximumConnections",
    current_user::text as "role"`,
);

/** One round trip, as each of these. */
export async function readServerFacts(db: Database): Promise<ServerFacts> {
  const [facts] = await db.rows(readServer, []);
  return facts as ServerFacts;
}

/** A right that the role of this connection lacks. */
export interface MissingRight {
  readonly table: string;
  readonly right: string;
}

const readMissingRights = statement<MissingRight>(
  "read-missing-rights",
  `select t as "table", p as "right"
  from unnest($1::text[]) t, unnest(array['select', 'insert', 'update', 'delete']) p
  where to_regclass(t) is not null and not has_table_privilege(to_regclass(t)::oid, p)
  order by 1, 2`,
);

const readMissingTables = statement<{ table: string }>(
  "read-missing-tables",
  `select t as "table" from unnest($1::text[]) t where to_regclass(t) is null`,
);

/** Those of the tables, quoted as SQL wants them, that are not in this database. */
export async function findMissingTables(
  db: Database,
  tables: readonly string[],
): Promise<string[]> {
  return (await db.rows(readMissingTables, [tables])).map(({ table }) => table);
}

const ownTables = [
  '"sessionStore"',
  '"sessionStoreToken"',
  '"sessionBridgeLink"',
  '"sessionBridgeHit"',
  '"sessionBridgeProcess"',
  '"sessionBridgeMode"',
];

/** Rights that are missing on the package's tables and on further ones, quoted as SQL wants them. */
export async function findMissingRights(
  db: Database,
  furtherTables: readonly string[],
): Promise<MissingRight[]> {
  return db.rows(readMissingRights, [[...ownTables, ...furtherTables]]);
}

/**
 * Whether a pooler stands in between: it gives connections a process id of its own. Undefined where the
 * driver does not tell its.
 */
export async function isPooled(pool: Pool): Promise<boolean | undefined> {
  const client = await pool.connect();
  try {
    const { rows } = await client.query(`select pg_backend_pid() as "id"`);
    const { processID } = client as { processID?: unknown };
    const [row] = rows as { id: number }[];
    return typeof processID === "number" ? processID !== row?.id : undefined;
  } finally {
    client.release();
  }
}

import { createHash } from "node:crypto";
import { BridgeError } from "../errors.js";
import { ChangedSessions } from "./changed-sessions.js";

/** What the package needs of a `pg` Pool. */
export interface Pool {
  query(config: { text: string; values: unknown[]; name?: string }): Promise<{ rows: unknown[] }>;
  connect(): Promise<PoolClient>;
  on(event: "error", listener: (error: Error) => void): unknown;
  readonly options?: { readonly max?: number };
}

/** A client checked out of a {@link Pool}; only migrations and listening need one. */
export interface PoolClient {
  query(text: string, values?: unknown[]): Promise<{ rows: unknown[] }>;
  on(event: "error", listener: (error: Error) => void): unknown;
  on(event: "notification", listener: (message?: { payload?: string }) => void): unknown;
  release(destroy?: boolean): void;
  /** The process id that PostgreSQL, or a pooler in between, has given the connection. */
  readonly processID?: number | null;
}

/** One SQL statement; its rows are promised by the type. */
export interface Statement<Row> {
  readonly name: string;
  readonly text: string;
  readonly row?: Row;
}

/** Defines a statement. The name ends in a hash of the text: two versions never share a prepared plan. */
export function statement<Row>(name: string, text: string): Statement<Row> {
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 8);
  return { name: `koa-session-bridge:${name}:${hash}`, text };
}

export interface Database {
  readonly pool: Pool;
  /** The time that every statement and token is stamped with. */
  now(): Date;
  generateId(): string;
  /** One round trip. Throws a {@link BridgeError}, never the driver's error. */
  rows<Row>(statement: Statement<Row>, values: unknown[]): Promise<Row[]>;
  /** The same for a statement that changes these sessions: what is cached of them ends with the answer. */
  change<Row>(
    sessionIds: string | readonly string[],
    statement: Statement<Row>,
    values: unknown[],
  ): Promise<Row[]>;
  /** Where changes are noted, if anything is cached. */
  readonly changes: ChangedSessions | undefined;
}

/** How many statements a pool carries out at once. */
export const connectionsOf = ({ options }: Pool): number => options?.max ?? 10;

export interface DatabaseOptions {
  pool: Pool;
  preparedStatements: boolean;
  clock: () => Date;
  generateId: () => string;
  /** Sessions are cached, within these limits. */
  cache?: object | undefined;
}

export function createDatabase(options: DatabaseOptions): Database {
  const { pool, preparedStatements } = options;
  const changes = options.cache === undefined ? undefined : new ChangedSessions();
  return {
    pool,
    now: options.clock,
    generateId: options.generateId,
    changes,
    async change(sessionIds, statement, values) {
      try {
        return await this.rows(statement, values);
      } finally {
        // Also when it failed: the answer alone may have been lost.
        for (const id of [sessionIds].flat()) changes?.note(id);
      }
    },
    async rows<Row>({ name, text }: Statement<Row>, values: unknown[]) {
      const query = preparedStatements ? { name, text, values } : { text, values };
      for (let attempt = 1; ; attempt += 1) {
        try {
          return (await pool.query(query)).rows as Row[];
        } catch (error) {
          // A statement is a transaction of its own: chosen as a deadlock's victim, it did nothing.
          if (sqlState(error) !== deadlock || attempt === maximumAttempts) throw storeError(error);
        }
      }
    },
  };
}

/** PostgreSQL has answered, and refused the statement. Of its codes each has a digit, of the system's none. */
export const isRefusal = (error: unknown): boolean =>
  error instanceof BridgeError && /^(?=.*\d)[\dA-Z]{5}$/.test(sqlState(error.cause));

// No right to the tables, wrong password, unknown role or database: no waiting mends these.
const refusals = new Set(["42501", "28P01", "28000", "3D000"]);
const deadlock = "40P01";
const maximumAttempts = 3;

/** Classes of SQLSTATE: 22 is bad data, 42P01 and 42703 are a missing table or column. */
function storeError(cause: unknown): BridgeError {
  const state = sqlState(cause);
  if (state.startsWith("22")) return new BridgeError("data-not-storable", { cause });
  if (state === "42P01" || state === "42703") return new BridgeError("schema-missing", { cause });
  if (refusals.has(state)) return new BridgeError("store-misconfigured", { cause });
  return new BridgeError("store-unavailable", { cause });
}

function sqlState(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "";
}

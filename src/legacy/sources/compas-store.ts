import {
  deleteCompasSession,
  deleteExpiredCompasSessions,
  readCompasSession,
  writeCompasSession,
} from "../../store/compas-table.js";
import type { Pool } from "../../store/database.js";
import { isObject } from "./cookie.js";
import { firstRowBy, keysOfTable, type OldTable } from "../../store/old-table.js";
import { isUuid } from "../../store/uuid.js";

/** The store that Compas kept its cookie sessions in, as koa-session wants one. */
export interface CompasLegacyStore {
  /** The session's data; false for an unknown or expired session. */
  get(id: string): Promise<object | false>;
  /** @param maxAge in milliseconds; anything but a number, such as "session", keeps it for 30 minutes */
  set(id: string, session: unknown, maxAge?: unknown): Promise<void>;
  destroy(id: string): Promise<void>;
  /** Deletes what has expired; call it now and then. */
  clean(): Promise<void>;
  /** The ids of the sessions that have not expired, read from the table as they are asked for. */
  keys(): AsyncIterable<string>;
}

const thirtyMinutes = 30 * 60 * 1000;
const tables = new WeakMap<object, OldTable & { pool: Pool }>();

/**
 * Compas's own session store, on the table `"session"` that its migrations made: in place of
 * `newSessionStore(sql)`.
 *
 * @param pool a `pg` pool. With the bridge's own pool, its first look-up also reads the session.
 */
export function compasLegacyStore(pool: Pool): CompasLegacyStore {
  if (!isObject(pool) || typeof pool["query"] !== "function") {
    throw new TypeError("compasLegacyStore: the first argument must be a pg Pool");
  }
  const store: CompasLegacyStore = {
    // Anything but a UUID is nobody's session; PostgreSQL would refuse it with an error.
    get: async (id) => (isUuid(id) && (await readCompasSession(pool, id))) || false,
    async set(id, data, maxAge) {
      const lifetime = typeof maxAge === "number" ? maxAge : thirtyMinutes;
      await writeCompasSession(pool, { id, data, expires: new Date(Date.now() + lifetime) });
    },
    async destroy(id) {
      if (isUuid(id)) await deleteCompasSession(pool, id);
    },
    clean: () => deleteExpiredCompasSessions(pool),
    keys: () => keysOfTable(firstRowBy(pool), compasTable),
  };
  tables.set(store, { ...compasTable, pool });
  return store;
}

const compasTable: OldTable = {
  name: '"session"',
  key: '"id"',
  keyType: "uuid",
  value: '"data"',
  expires: '"expires"',
};

/** Where a store keeps its sessions, if it was made by {@link compasLegacyStore}. */
export const tableOf = (store: object) => tables.get(store);

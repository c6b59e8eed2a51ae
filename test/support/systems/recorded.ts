import type pg from "pg";
import { type Recording, type RecordedStore, type StoredEntry } from "../recordings.js";
import type { KoaSessionVersion } from "../versions.js";
import { compasSystem } from "./compas.js";
import { cookieSessionSystem } from "./cookie-session.js";
import { expressSessionSystem } from "./express-session.js";
import { koaGenericSessionSystem } from "./koa-generic-session.js";
import { koaSessionMinimalSystem } from "./koa-session-minimal.js";
import { koaSessionSystem } from "./koa-session.js";
import type { OldSystem, Settings } from "./old-system.js";

/** The system that a recording was made with, and how the application used it. */
export interface RecordedSystem {
  readonly system: OldSystem;
  readonly settings: (store: RecordedStore) => Settings;
  /** Puts the recorded rows where the old store is, if that is a table. */
  readonly fill: (pool: pg.Pool) => Promise<void>;
}

export function recordedSystem(recording: Recording): RecordedSystem {
  const { kind, keys, options, storage } = recording;
  const { store: _, ...own } = options;
  const inMap = {
    settings: (store: RecordedStore) => ({
      ...(keys.length > 0 && { keys }),
      options: { ...own, ...(storage === "external" && { store }) },
    }),
    fill: () => Promise.resolve(),
  };
  switch (kind) {
    case "koa-session": {
      const major = recording.versions["koa-session"]!.slice(0, 1) as KoaSessionVersion;
      return { system: koaSessionSystem(major, { hasStore: storage === "external" }), ...inMap };
    }
    case "koa-session-minimal":
      return { system: koaSessionMinimalSystem, ...inMap };
    case "koa-generic-session":
      return { system: koaGenericSessionSystem, ...inMap };
    case "cookie-session":
      return { system: cookieSessionSystem, ...inMap };
    case "express-session":
      return {
        system: expressSessionSystem,
        settings: () => ({ options: own }),
        fill: (pool) =>
          fillTable(pool, recording, ({ value, expire }) => [
            `insert into "session" ("sid", "sess", "expire") values ($1, $2, $3)`,
            JSON.stringify(value),
            expire!,
          ]),
      };
    case "compas-legacy": {
      const { mode, APP_NAME, APP_KEYS, ...session } = own as Record<string, string>;
      const system = compasSystem({
        NODE_ENV: mode === "production" ? "production" : "development",
        APP_NAME: APP_NAME!,
        ...(APP_KEYS && { APP_KEYS }),
      });
      return {
        system,
        settings: () => ({ options: session }),
        fill: (pool) =>
          fillTable(pool, recording, ({ value, expires }) => [
            `insert into "session" ("id", "data", "expires") values ($1, $2, $3)`,
            JSON.stringify(value),
            expires!,
          ]),
      };
    }
  }
}

async function fillTable(
  pool: pg.Pool,
  { store }: Recording,
  toRow: (entry: StoredEntry) => [statement: string, value: string, expires: string],
): Promise<void> {
  await pool.query(`truncate "session"`);
  for (const [key, entry] of Object.entries(store?.entries ?? {})) {
    const [statement, ...values] = toRow(entry);
    await pool.query(statement, [key, ...values]);
  }
}

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import connectPgSimple from "connect-pg-simple";
import session from "express-session";
import type pg from "pg";
import { expressSession } from "../../../src/index.js";
import { cookieKeys } from "../app.js";
import { expressCookies } from "./cookies-of-id.js";
import type { OldSystem, StoredSession } from "./old-system.js";
import { packageVersion } from "./package-version.js";
import { startPlainExpress } from "./plain-express.js";
import { onKoa } from "./plain-koa.js";
import { dataOf, handlersOf, koaSessionApi, type SessionApi } from "./session-api.js";

const PgStore = connectPgSimple(session);

/** connect-pg-simple's store; it deletes nothing by itself. */
export const createPgStore = (pool: pg.Pool, options: object = {}) =>
  new PgStore({ pool, pruneSessionInterval: false, ...options });

// In Express's words. Its session object cannot be replaced.
const expressApi: SessionApi = {
  read: (on) => on.session as unknown,
  replace(on, data) {
    const { cookie: _, ...members } = on.session as Record<string, unknown>;
    for (const name of Object.keys(members)) delete on.session[name];
    Object.assign(on.session as object, data);
  },
  remove: (on) => call(on.session, "destroy"),
  async regenerate(on) {
    const data = dataOf(on.session);
    await call(on.session, "regenerate");
    Object.assign(on.session as object, data);
  },
};

function call(session: any, method: "destroy" | "regenerate"): Promise<void> {
  const of = session[method].bind(session) as (callback: (error?: unknown) => void) => void;
  return promisify(of)();
}

const handlers = handlersOf(koaSessionApi);

export const expressSessionSystem: OldSystem = {
  row: "express-session",
  version: packageVersion("express-session"),
  name: "express-session",
  hasStore: true,
  isReadOnly: true,
  canRegenerate: true,
  cookieNames: ["connect.sid"],
  ownCookieNames: [],
  cookiesOfId: (id, key = cookieKeys[0]!) => expressCookies("connect.sid", id, key),
  prepare: createPgSessionTable,

  on(pool, { cookie, options, koa } = {}) {
    const config = () => ({
      secret: cookieKeys,
      resave: false,
      saveUninitialized: false,
      store: createPgStore(pool),
      cookie: { maxAge: 86_400_000, ...cookie },
      ...options,
    });
    return {
      startPlain: () => startPlainExpress(session(config()), expressApi),
      source: () => expressSession(config()),
      bridged: { handlers, keys: null, ...onKoa(koa) },
      rows: () => rowsOfPgStore(pool),
    };
  },
};

/** The table as connect-pg-simple's own file makes it. */
export async function createPgSessionTable(pool: pg.Pool): Promise<void> {
  const module = createRequire(import.meta.url).resolve("connect-pg-simple");
  await pool.query(await readFile(join(dirname(module), "table.sql"), "utf8"));
}

async function rowsOfPgStore(pool: pg.Pool): Promise<StoredSession[]> {
  const { rows } = await pool.query<{ key: string; data: object }>(
    `select "sid" as "key", "sess" as "data" from "session" order by "sid"`,
  );
  return rows.map(({ key, data }) => ({ key, data: dataOf(data) }));
}

import { afterAll, beforeAll } from "vitest";
import { startBridgedApp, startPlainApp } from "./app.js";
import type { Browser } from "./client.js";
import { type Cluster, startWorkers } from "./cluster.js";
import { testDatabase, type TestDatabase } from "./database.js";
import { PgLegacyStore } from "./pg-legacy-store.js";
import { koaSessionVersion } from "./versions.js";

/** Where an application kept its sessions. */
export const legacyKinds = ["store", "cookie"] as const;
export type LegacyKind = (typeof legacyKinds)[number];

/** The name of koa-session's cookie in this run's version. */
export const cookieName = koaSessionVersion === "5" ? "koa:sess" : "koa.sess";

/** The key in the old store that a browser's cookie names. */
export const storeKeyOf = (browser: Browser) => browser.cookies.get(cookieName) ?? "";

/** The application before the bridge, on a database that bridged ones share with it. */
export interface Flow {
  readonly database: TestDatabase;
  readonly store: PgLegacyStore;
  /** The application's configuration of koa-session. */
  readonly config: object;
  /** Logs in at the application without the bridge: a cookie that no bridge has ever seen. */
  loginBefore(user?: string): Promise<Browser>;
  /**
   * The same, ready to be upgraded by the next request: a data cookie has got its id from a bridge, a
   * minute ago.
   */
  login(user?: string): Promise<Browser>;
  /** The rows of a table, by the primary key. */
  rows(table: "sessionStore" | "sessionStoreToken" | "sessionBridgeLink"): Promise<any[]>;
  /** How many token sessions are alive and hold a user. */
  loggedIn(): Promise<number>;
  close(): Promise<void>;
}

export async function startFlow(kind: LegacyKind): Promise<Flow> {
  const database = await testDatabase();
  const { pool } = database;
  const store = new PgLegacyStore(pool);
  await store.createTable();
  const config = kind === "store" ? { store } : {};
  const plain = await startPlainApp({ ...config });
  const aMinuteAgo = await startBridgedApp(pool, {
    config,
    clock: () => new Date(Date.now() - 60_000),
  });
  const loginBefore = async (user = "user-1") => {
    const browser = plain.browser();
    await browser.get(`/login?user=${user}`);
    return browser;
  };
  return {
    database,
    store,
    config,
    loginBefore,
    login: async (user) => {
      const browser = await loginBefore(user);
      if (kind === "cookie") {
        await browser.clone({ shared: true, baseUrl: aMinuteAgo.url }).get("/whoami");
      }
      return browser;
    },
    rows: async (table) => (await pool.query(`select * from "${table}" order by 1`)).rows,
    loggedIn: async () => {
      const { rows } = await pool.query<{ count: number }>(
        `select count(*)::int as "count" from "sessionStore"
        where "revokedAt" is null and "data" ? 'userId'`,
      );
      return rows[0]?.count ?? 0;
    },
    close: async () => {
      await plain.close();
      await aMinuteAgo.close();
      await database.drop();
    },
  };
}

/** Four processes of the bridged application, for the tests of one `describe`. */
export function withCluster(kind: LegacyKind) {
  const running: { flow?: Flow; cluster?: Cluster } = {};
  beforeAll(async () => {
    const flow = (running.flow = await startFlow(kind));
    running.cluster = await startWorkers(4, new URL("worker-app.ts", import.meta.url), {
      DATABASE_URL: flow.database.url,
      LEGACY: kind,
    });
  });
  afterAll(async () => {
    await running.cluster?.close();
    await running.flow?.close();
  });
  return {
    get flow(): Flow {
      return running.flow!;
    },
    get cluster(): Cluster {
      return running.cluster!;
    },
    /** A copy of a browser, on one of the processes. */
    on: (browser: Browser, index: number) =>
      browser.clone({ baseUrl: running.cluster!.baseUrls[index % 4]! }),
  };
}

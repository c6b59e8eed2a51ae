import { afterAll, beforeAll, beforeEach } from "vitest";
import type { SessionBridgeOptions } from "../../../src/index.js";
import { type AppOptions, type RunningApp, startBridgedApp } from "../app.js";
import type { Browser } from "../client.js";
import { type Cluster, startWorkers } from "../cluster.js";
import { testDatabase, type TestDatabase } from "../database.js";
import { pairIn, type Tokens } from "../tokens.js";
import type { OldApplication, OldSystem, PlainApp, Settings } from "./old-system.js";

/** An old system's application before the bridge, on a database that bridged ones share with it. */
export interface SystemFlow {
  readonly database: TestDatabase;
  readonly application: OldApplication;
  readonly plain: PlainApp;
  /** The application with the bridge; closed with the flow. */
  bridged(options?: Partial<SessionBridgeOptions> & AppOptions): Promise<RunningApp>;
  /** A login at the application without the bridge: a cookie that no bridge has ever seen. */
  loginBefore(user?: string): Promise<Browser>;
  /** The same, which the next request upgrades. */
  login(user?: string): Promise<Browser>;
  /** A data cookie has been given its id, a minute ago. */
  identified(browser: Browser): Promise<Browser>;
  /** A login that a bridged application has upgraded, with the pair that it offered. */
  upgraded(app: RunningApp, user?: string): Promise<{ browser: Browser; pair: Tokens }>;
  /** The rows of a table, by the primary key. */
  tableRows(table: "sessionStore" | "sessionStoreToken" | "sessionBridgeLink"): Promise<any[]>;
  /** How many token sessions are alive and hold a user. */
  loggedIn(): Promise<number>;
  close(): Promise<void>;
}

export async function startSystemFlow(system: OldSystem, settings?: Settings): Promise<SystemFlow> {
  const database = await testDatabase();
  const { pool } = database;
  const closing: (() => Promise<void>)[] = [() => database.drop()];
  const opened = async <App extends { close(): Promise<void> }>(starting: Promise<App>) => {
    const app = await starting;
    closing.push(() => app.close());
    return app;
  };
  // Where the cookie is sent.
  const under = settings?.cookie?.path ?? "";
  await system.prepare(pool);
  const application = system.on(pool, settings);
  const plain = await opened(application.startPlain());

  const bridged: SystemFlow["bridged"] = (options) =>
    opened(
      startBridgedApp(pool, { ...application.bridged, legacy: application.source(), ...options }),
    );
  const aMinuteAgo = system.hasStore
    ? undefined
    : await bridged({
        allowUnsigned: true,
        clock: () => new Date(Date.now() - 60_000),
      });

  const loginBefore: SystemFlow["loginBefore"] = async (user = "user-1") => {
    const browser = plain.browser();
    await browser.get(`${under}/login?user=${user}`);
    return browser;
  };
  const identified: SystemFlow["identified"] = async (browser) => {
    if (aMinuteAgo !== undefined) {
      await browser.clone({ shared: true, baseUrl: aMinuteAgo.url }).get(`${under}/whoami`);
    }
    return browser;
  };
  const login: SystemFlow["login"] = async (user) => identified(await loginBefore(user));

  return {
    database,
    application,
    plain,
    bridged,
    loginBefore,
    login,
    identified,
    upgraded: async (app, user) => {
      const browser = (await login(user)).clone({ baseUrl: app.url });
      return { browser, pair: pairIn(await browser.get(`${under}/whoami`)) };
    },
    tableRows: async (table) => (await pool.query(`select * from "${table}" order by 1`)).rows,
    loggedIn: async () => {
      const { rows } = await pool.query<{ count: number }>(
        `select count(*)::int as "count" from "sessionStore"
        where "revokedAt" is null and "data" ? 'userId'`,
      );
      return rows[0]?.count ?? 0;
    },
    close: async () => {
      for (const close of closing.reverse()) await close();
    },
  };
}

/** Starts flows that end with the test. */
export function flowsOfTest(): typeof startSystemFlow {
  const flows: SystemFlow[] = [];
  beforeEach(() => async () => {
    for (const flow of flows.splice(0)) await flow.close();
  });
  return async (...of) => {
    const flow = await startSystemFlow(...of);
    flows.push(flow);
    return flow;
  };
}

/** Four processes of the bridged application, for the tests of one `describe`. */
export function withSystemCluster(system: OldSystem) {
  const running: { flow?: SystemFlow; cluster?: Cluster } = {};
  beforeAll(async () => {
    const flow = (running.flow = await startSystemFlow(system));
    running.cluster = await startWorkers(4, new URL("system-worker.ts", import.meta.url), {
      DATABASE_URL: flow.database.url,
      OLD_SYSTEM: system.name,
    });
  });
  afterAll(async () => {
    await running.cluster?.close();
    await running.flow?.close();
  });
  return {
    get flow(): SystemFlow {
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

import type pg from "pg";
import { beforeEach } from "vitest";
import { type RunningApp, startBridgedApp } from "../app.js";
import type { Browser, BrowserResponse } from "../client.js";
import { TestClock } from "../clock.js";
import { testDatabase, type TestDatabase } from "../database.js";
import type { OldApplication, OldSystem, PlainApp, Settings } from "./old-system.js";

/** One of the old systems that an application's visitors come from. */
export interface Old extends OldApplication {
  readonly system: OldSystem;
  readonly plain: PlainApp;
}

/** An event of a legacy cookie or hit. */
export type Told = [event: "cookie" | "hit", source: string, outcome?: string];

/** What an accepted cookie makes the bridge tell. */
export const hit = (source: string): Told[] => [
  ["cookie", source, "hit"],
  ["hit", source],
];

/** For each test a database, and applications on it that end with the test. */
export class SeveralSources {
  clock!: TestClock;
  #database!: TestDatabase;
  readonly #closing: (() => Promise<void>)[] = [];

  /** @param prepare the systems whose tables are needed */
  constructor(prepare: readonly OldSystem[]) {
    beforeEach(async () => {
      this.clock = new TestClock();
      this.#database = await testDatabase();
      this.#closing.push(() => this.#database.drop());
      for (const system of prepare) await system.prepare(this.pool);
      return async () => {
        for (const close of this.#closing.splice(0).reverse()) await close();
      };
    });
  }

  get pool(): pg.Pool {
    return this.#database.pool;
  }

  /** An application with the old package alone. */
  async old(system: OldSystem, settings?: Settings): Promise<Old> {
    const application = system.on(this.pool, settings);
    const plain = await application.startPlain();
    this.#closing.push(() => plain.close());
    return { ...application, system, plain };
  }

  /** An application with the bridge over several sources, and what it tells of their cookies. */
  async bridged(
    olds: readonly Old[],
    options: Parameters<typeof startBridgedApp>[1] = {},
  ): Promise<RunningApp & { told: Told[] }> {
    const legacy = olds.map((each) => each.source());
    const app = await startBridgedApp(this.pool, { legacy, clock: this.clock.now, ...options });
    this.#closing.push(() => app.close());
    const told: Told[] = [];
    app.bridge.on("legacy-hit", ({ source }) => told.push(["hit", source]));
    app.bridge.on("legacy-cookie", ({ source, outcome }) => told.push(["cookie", source, outcome]));
    return { ...app, told };
  }

  /** The rows of a table, by the primary key. */
  async rows(table: string): Promise<any[]> {
    return (await this.pool.query(`select * from "${table}" order by 1`)).rows;
  }
}

/** A browser with a login at each of the applications, by the user's name. */
export async function loggedIn(app: RunningApp, logins: Record<string, Old>): Promise<Browser> {
  const browser = app.browser();
  for (const [user, { plain }] of Object.entries(logins)) {
    await browser.clone({ shared: true, baseUrl: plain.url }).get(`/login?user=${user}`);
  }
  return browser;
}

export const sessionOf = async (browser: Browser) =>
  (await browser.get("/whoami")).body.session as Record<string, unknown>;

/** The names of the cookies that a response sets and clears. */
export function cookiesOf({ setCookie }: BrowserResponse) {
  const names = (clearing: boolean) =>
    setCookie
      .filter((line) => /expires=Thu, 01 Jan 1970/i.test(line) === clearing)
      .map((line) => line.slice(0, line.indexOf("=")))
      .sort();
  return { set: names(false), cleared: names(true) };
}

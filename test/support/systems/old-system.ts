import type pg from "pg";
import type { LegacySource } from "../../../src/index.js";
import type { AppOptions, RunningApp } from "../app.js";
import type { KoaVersion } from "../versions.js";

/** The system's own package in an application without the bridge. */
export type PlainApp = Pick<RunningApp, "url" | "browser" | "close">;

/** What an application configures, in words that all systems share. */
export interface Settings {
  /** Attributes of the cookie. */
  readonly cookie?: { readonly path?: string; readonly domain?: string };
  /** Options in the library's own words. */
  readonly options?: object;
  /** `app.keys`, where an application has them. */
  readonly keys?: string[];
  /** Another version of Koa than the one of this run. */
  readonly koa?: KoaVersion;
}

/** An old session system: how an application used it, and how the bridge takes it over. */
export interface OldSystem {
  /** Its row in the README's table of old systems. */
  readonly row: string;
  /** The published version that runs here. */
  readonly version: string;
  /** Tells it from others that share its row. */
  readonly name: string;
  /** False when the cookie carries the data. */
  readonly hasStore: boolean;
  /** The bridge reads and clears its cookies, and writes none of them. */
  readonly isReadOnly: boolean;
  /** The application can ask for another id and keep the data. */
  readonly canRegenerate: boolean;
  /** Every cookie that the old application sets, the one that opens the session first. */
  readonly cookieNames: readonly [string, ...string[]];
  /** Every cookie that the bridge may set beside them. */
  readonly ownCookieNames: readonly string[];
  /**
   * The cookies of an id in the old store, signed where the system signs: with `app.keys` of the tests,
   * or another key. Absent when the cookie carries the data.
   */
  readonly cookiesOfId?: (id: string, key?: string) => Record<string, string>;
  /** Makes the tables of the old store; once for a database. */
  prepare(pool: pg.Pool): Promise<void>;
  /** An application on that database; several share its sessions. */
  on(pool: pg.Pool, settings?: Settings): OldApplication;
}

export interface OldApplication {
  /** Starts it as it was, with the published package alone. */
  startPlain(): Promise<PlainApp>;
  /** How the bridge is told of it. */
  source(): LegacySource;
  /** What else the application with the bridge needs. */
  readonly bridged: Pick<AppOptions, "handlers" | "keys" | "above" | "versions">;
  /** Key and data of each session in the old store, in the order of the keys. */
  rows(): Promise<StoredSession[]>;
}

export interface StoredSession {
  readonly key: string;
  readonly data: Record<string, unknown>;
}

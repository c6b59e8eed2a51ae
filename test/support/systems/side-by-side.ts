import { afterEach, beforeEach, expect, vi } from "vitest";
import type { SessionBridgeOptions } from "../../../src/index.js";
import { type Handler, type RunningApp, startBridgedApp } from "../app.js";
import type { Browser, BrowserResponse } from "../client.js";
import { testDatabase, type TestDatabase } from "../database.js";
import { seenIn } from "../differential.js";
import { startPlainKoa } from "./plain-koa.js";
import { Side, type Variant } from "./variants.js";

/** An old package by itself and with the bridge, each with a store and a browser of its own. */
export interface SideBySide {
  readonly plain: { readonly side: Side; readonly browser: Browser };
  readonly bridged: { readonly side: Side; readonly browser: Browser; readonly app: RunningApp };
  /** Sends it to both, which have to answer and to store the same; gives the bridge's answer. */
  get(path: string): Promise<BrowserResponse>;
  /** A browser with the cookies of the package alone, and a copy of its rows, at the bridge. */
  moved(): Browser;
}

type Options = Partial<SessionBridgeOptions> & { readonly handlers?: Record<string, Handler> };

interface Starter {
  readonly database: TestDatabase;
  start(variant: Variant, options?: Options): Promise<SideBySide>;
}

/** Both sides at the very same time, which only the test moves. PostgreSQL has its own. */
export function sideBySideOfTest(): Starter {
  const closing: (() => Promise<void>)[] = [];
  let database: TestDatabase;
  beforeEach(async () => {
    database = await testDatabase();
    closing.push(() => database.drop());
    vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-06-01T12:00:00Z") });
  });
  afterEach(async () => {
    vi.useRealTimers();
    for (const close of closing.splice(0).reverse()) await close();
  });

  return {
    get database() {
      return database;
    },
    async start(variant, { handlers = {}, ...options } = {}) {
      const sides = [new Side(), new Side()] as const;
      const setUp = { ...variant.setUp, handlers };
      const alone = await startPlainKoa((app) => variant.plain(sides[0], app), setUp);
      closing.push(() => alone.close());
      const legacy = variant.source(sides[1]);
      const app = await startBridgedApp(database.pool, { ...setUp, legacy, ...options });
      closing.push(() => app.close());
      const plain = { side: sides[0], browser: alone.browser() };
      const bridged = { side: sides[1], browser: app.browser(), app };
      return {
        plain,
        bridged,
        async get(path) {
          const expected = await plain.browser.get(path);
          const response = await bridged.browser.get(path);
          expect(visible(response, bridged.side)).toEqual(visible(expected, plain.side));
          return response;
        },
        moved() {
          for (const [key, value] of plain.side.store.entries) {
            bridged.side.store.entries.set(key, structuredClone(value));
          }
          return plain.browser.clone({ baseUrl: app.url });
        },
      };
    },
  };
}

// The ids of koa-session-minimal are random; those of the others the same on both sides.
function visible(response: BrowserResponse, side: Side): unknown {
  const all = { ...seenIn(response, (_, value) => value), rows: side.rows() };
  const named = JSON.stringify(all).replace(/(?<![\w-])[\w-]{32}(?![\w-])/g, "a random id");
  return JSON.parse(named) as unknown;
}

/** Moves the time of both sides. */
export function pass(milliseconds: number): void {
  vi.setSystemTime(Date.now() + milliseconds);
}

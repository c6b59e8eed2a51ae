import type { Context } from "koa";
import type { BridgeEvents, Events, LegacyOutcome } from "../events.js";
import type { ModeFlag } from "../mode.js";
import type { Database } from "../store/database.js";
import type { About } from "./about.js";
import { onCounted } from "./counters.js";
import { type Labels, LabelBounds } from "./labels.js";
import type { MigrationStatus } from "./migration-status.js";
import { createReporter } from "./reporter.js";
import { secretsOf } from "./request-secrets.js";
import { readMigrationStatus } from "./status.js";

/** Counts what the bridge tells, and tells how the migration goes. */
export interface Monitor {
  /** At each request: the first one starts the reports. */
  start(): void;
  /** Starts the reports where no request may come: of a backfill. */
  report(): void;
  /** A legacy cookie was presented. */
  tellCookie(ctx: Context, source: string, outcome: LegacyOutcome, isBrownout: boolean): void;
  /** Of the whole fleet, with what this process has counted so far. */
  status(): Promise<MigrationStatus>;
  /** Adds what was counted so far to the counts in PostgreSQL. */
  flush(): Promise<void>;
  /** Adds the last counts to those in PostgreSQL. */
  close(): Promise<void>;
}

export function createMonitor(
  db: Database,
  events: Events<BridgeEvents>,
  options: {
    labels: (ctx: Context) => Readonly<Record<string, string>>;
    readAccessToken: (ctx: Context) => string | undefined;
    flag: ModeFlag;
    about: () => About;
  },
): Monitor {
  const { labels, readAccessToken, flag, about } = options;
  const bounds = new LabelBounds();
  const reporter = createReporter(db, {
    mode: () => flag.current,
    about,
    learn: ({ name, value }) => {
      bounds.learn(name, value);
    },
    tell: (error) => {
      events.emit("error", error);
    },
  });
  onCounted(events, (counted) => {
    reporter.count(counted);
  });

  function labelsOf(ctx: Context): Labels {
    try {
      return bounds.bound(labels(ctx), secretsOf(ctx, readAccessToken));
    } catch (error) {
      events.emit("error", error as Error);
      return {};
    }
  }

  return {
    start: () => {
      reporter.start({ servesRequests: true });
    },
    report: () => {
      reporter.start({ servesRequests: false });
    },
    tellCookie(ctx, source, outcome, isBrownout) {
      const hit = { source, labels: labelsOf(ctx) };
      events.emit("legacy-cookie", { ...hit, outcome, isBrownout });
      if (outcome === "hit") events.emit("legacy-hit", hit);
    },
    async status() {
      // A process that has served no request does not know the flag yet, and would report the default.
      await flag.seen();
      await reporter.flush();
      const ownMode = flag.from === "database" ? undefined : flag.current;
      return readMigrationStatus(db, about().sources, ownMode);
    },
    flush: () => reporter.flush(),
    close: () => reporter.close(),
  };
}

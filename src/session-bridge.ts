import type { DefaultState, Middleware } from "koa";
import type { BridgeEvents } from "./events.js";
import type { BridgeSettings, InspectedCookie, ProbedStore } from "./inspect.js";
import type { Backfill } from "./legacy/backfill.js";
import type { Mode } from "./mode.js";
import type { DashboardOptions } from "./monitor/dashboard/server.js";
import type { MigrationStatus } from "./monitor/migration-status.js";
import type { SessionContext, SessionMiddleware } from "./tokens/token-session.js";

/** A Koa application, whatever its state and context are typed as. */
export interface KoaApplication {
  use(...middleware: never[]): unknown;
  readonly context: object;
}

/** What operators and the application need beside the middleware. */
export interface BridgeSurface extends Pick<
  SessionMiddleware,
  "routes" | "issueTokens" | "sessions" | "close"
> {
  on<Name extends keyof BridgeEvents>(
    name: Name,
    listener: (...args: BridgeEvents[Name]) => void,
  ): void;
  /**
   * How the migration of the whole fleet goes: what the command line and the page show.
   *
   * @throws BridgeError `store-unavailable` or `schema-missing`
   */
  status(): Promise<MigrationStatus>;
  /** Names of the old session systems. */
  readonly sources: readonly string[];
  /**
   * The mode of this process, as the latest request or the flag in PostgreSQL has it, and the share of
   * legacy cookies that a brownout refuses now, 0 to 1.
   */
  flag(): Promise<{ mode: Mode; brownoutShare: number }>;
  /**
   * Upgrades every live session of the old stores that can list theirs, as its next request would: exactly
   * once each, beside live requests and other backfills. Resolves early when aborted; may be run again.
   *
   * @throws TypeError that lists every invalid option; BridgeError `issuing-disabled` while a process is in
   *   mode `observe`, or the code of the store that is away
   */
  readonly backfill: Backfill;
  /**
   * A middleware that serves a page with the status, and a form that sets the mode of the fleet. It decides by
   * `authorize` who may: by `ctx.session` only after the bridge, and then nobody who has a cookie alone gets
   * in once the mode is `tokens`. Requests to its path are not counted, and no brownout meets them.
   *
   * @throws TypeError that lists every invalid option
   */
  dashboard(options: DashboardOptions): Middleware;
  /**
   * Whether the cookies of a `Cookie` header would be accepted, one answer for each old system, and if not,
   * why. Changes and counts nothing; what it gives holds no cookie's value.
   *
   * @throws BridgeError `store-unavailable`, `schema-missing` or `legacy-store-unavailable`
   */
  inspectCookie(header: string): Promise<InspectedCookie[]>;
  /** How the application is set up, for `koa-session-bridge doctor`. */
  inspectSettings(): BridgeSettings;
  /** Asks each old store for a session that it does not have, and tells whether it answers. Never rejects. */
  probeOldStores(): Promise<ProbedStore[]>;
}

/** The bridge: a Koa middleware in place of the old `session()`, with what operators need beside it. */
export type SessionBridge = Middleware<DefaultState, SessionContext> & BridgeSurface;

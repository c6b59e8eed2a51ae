import type Koa from "koa";
import type { Context, DefaultState, Middleware, Next } from "koa";
import { answering } from "./answer.js";
import { shareAt } from "./brownout.js";
import { readBridgeOptions, type SessionBridgeOptions } from "./bridge-options.js";
import { type Credential, presentedSources, readCredential } from "./credential.js";
import {
  type BridgeEvents,
  Events,
  type LegacyOutcome,
  type PresentedCredential,
} from "./events.js";
import { isBrownedOut } from "./legacy/browned-out.js";
import { type Backfill, createBackfill } from "./legacy/backfill.js";
import { type BridgeSettings, createInspector, type InspectedCookie } from "./inspect.js";
import { installSources } from "./legacy/install.js";
import { createLegacyPath, type InstalledSource } from "./legacy/legacy-path.js";
import { LegacyRequest } from "./legacy/legacy-request.js";
import type { LegacyEnvironment } from "./legacy/environment.js";
import { createOffers } from "./legacy/offer.js";
import type { LegacySource } from "./legacy/source.js";
import { createWriteThrough } from "./legacy/write-through.js";
import { createModeFlag, type Mode } from "./mode.js";
import { createFleetFlag } from "./mode-poll.js";
import { aboutBridge } from "./monitor/about-bridge.js";
import { createMonitor } from "./monitor/monitor.js";
import { createDashboard, type DashboardOptions } from "./monitor/dashboard/server.js";
import type { MigrationStatus } from "./monitor/migration-status.js";
import { timeBeside } from "./monitor/time-beside.js";
import { createDatabase } from "./store/database.js";
import { adoptSession, endedOriginReader, linkReader } from "./store/links.js";
import { linkAndRowReader, type OldTable } from "./store/old-table.js";
import type { SessionRow } from "./store/read-sessions.js";
import { createEndpoints, type Endpoints } from "./tokens/endpoints.js";
import type { TokenPair } from "./tokens/jwt.js";
import { refresher, sessionStoreOver } from "./tokens/session-store.js";
import { createTokenPath, noCredential } from "./tokens/token-path.js";
import {
  guardPool,
  logout,
  missingMiddleware,
  refusalTeller,
  type SessionContext,
  type SessionMiddleware,
} from "./tokens/token-session.js";
import { createTokenStore } from "./tokens/token-store.js";
import { forbidCaching } from "./transport.js";

/** A Koa application, whatever its state and context are typed as. */
export interface KoaApplication {
  use(...middleware: never[]): unknown;
  readonly context: object;
}

interface BridgeSurface extends Pick<
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
   * `authorize` who may; put it after the bridge when that needs `ctx.session`.
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
}

/** The bridge: a Koa middleware in place of the old `session()`, with what operators need beside it. */
export type SessionBridge = Middleware<DefaultState, SessionContext> & BridgeSurface;

/**
 * Accepts legacy cookies and bearer tokens side by side and turns cookie sessions into token sessions.
 * Put it where `session(CONFIG, app)` was.
 *
 * @throws TypeError that lists every invalid option
 */
export function sessionBridge(options: SessionBridgeOptions, app: KoaApplication): SessionBridge {
  if (typeof (app as KoaApplication | undefined)?.use !== "function") {
    throw new TypeError("sessionBridge: the second argument must be the Koa application");
  }
  const parsed = readBridgeOptions(options);
  const { shared, tokens } = parsed;
  const events = new Events<BridgeEvents>();
  const db = createDatabase(shared);
  const store = createTokenStore(db, tokens, { withLinks: true });
  const tablesBeside = new Map(
    parsed.sources.flatMap(({ name, oldStore }): [string, OldTable][] => {
      const { pool = shared.pool, ...table } = oldStore?.table ?? {};
      return "name" in table && pool === shared.pool ? [[name, table]] : [];
    }),
  );
  const environment: LegacyEnvironment = {
    ...parsed,
    store,
    events,
    keys: tokens.keys,
    readLink: linkReader(db),
    readLinkAndRow: new Map(
      [...tablesBeside].map(([name, table]) => [name, linkAndRowReader(db, table)]),
    ),
    hasEndedOrigin: endedOriginReader(db),
  };
  const sources = installSources(app as Koa, parsed.sources);
  const tell = (error: Error) => {
    events.emit("error", error);
  };
  const fleet = createFleetFlag(db, parsed.directPool, tell);
  const flag = createModeFlag(parsed.mode, fleet, tell, shared.clock);
  const writeThrough = createWriteThrough(environment, sources, () => flag.current === "tokens");
  const paths = {
    tokens: createTokenPath(store, { shared, tokens }, events, writeThrough.ofRequests),
    legacy: createLegacyPath(environment),
  };
  const offers = createOffers(shared.transport, parsed.offer, events);
  const refreshTokens = refresher(store, events, async ({ sessionId, outcome, link, adopted }) => {
    if (link === null) return;
    if (adopted) events.emit("adopted", { source: link.source, sessionId });
    if (outcome === "reused") await writeThrough.end(link);
  });
  const sessions = sessionStoreOver(store, events, refreshTokens, writeThrough.ofStore);
  const inspector = createInspector(app as Koa, shared.pool, sources, paths.legacy);
  const about = () => aboutBridge(app as Koa, parsed, { modeFrom: flag.from, tablesBeside });
  const monitor = createMonitor(db, events, { labels: parsed.labels, flag, about });
  // A backfill may count where no request is served.
  events.on("upgraded", () => {
    monitor.start();
  });
  const listener = { tell, refused: refusalTeller(events) };
  const release = guardPool(shared.pool, tell);
  const resolved = new WeakSet<Context>();
  let endpoints: Endpoints | undefined;

  const middleware: Middleware<DefaultState, SessionContext> = (ctx, next) => {
    monitor.start();
    const timed = timeBeside(next);
    return answering(ctx, timed.next, listener, async (next) => {
      const told = (mode: Mode, credential: PresentedCredential) => {
        events.emit("request", { mode, credential, addedInSeconds: timed.addedInSeconds() });
      };
      const mode = await flag.of(ctx);
      if (endpoints?.isRefresh(ctx)) {
        return paths.tokens.run(ctx, next, noCredential).finally(() => {
          told(mode, "refresh");
        });
      }
      const presented = presentedSources(ctx, sources);
      const isBrownout = mode !== "tokens" && isBrownedOut(ctx, presented, flag.brownout, db.now());
      const servedAs = isBrownout ? "tokens" : mode;
      const credential = await readCredential(ctx, servedAs, presented, paths);
      resolved.add(ctx);
      try {
        await serve(ctx, next, servedAs, presented, credential, isBrownout);
      } finally {
        told(mode, credential.kind);
      }
    });
  };

  const backfill = createBackfill(environment, sources, tablesBeside, async () => {
    await fleet.follow();
    return flag.current;
  });

  const surface: BridgeSurface = {
    sessions,
    on: (name, listener) => {
      events.on(name, listener);
    },
    issueTokens: async (ctx: object) => issueTokens(ctx as Context),
    status: () => monitor.status(),
    sources: sources.map(({ name }) => name),
    flag: async () => ({
      mode: await flag.seen(),
      brownoutShare: shareAt(flag.brownout, db.now()),
    }),
    backfill,
    dashboard: (options) => {
      const { from: modeFrom } = flag;
      const status = () => surface.status();
      return createDashboard(options, { db, keys: tokens.keys, modeFrom, status, tell });
    },
    inspectCookie: async (header) => inspector.cookie(header),
    inspectSettings: () => inspector.settings(),
    close: async () => {
      flag.close();
      await monitor.close();
      release();
    },
    routes({ prefix = "/session" } = {}) {
      endpoints = createEndpoints(prefix, {
        upgrade: (ctx) =>
          paths.legacy.issueTokens(ctx, { evenIfAdopted: false }) ??
          paths.tokens.refuseUpgrade(ctx),
        refresh: refreshTokens,
        logout,
        refused: listener.refused,
        isResolved: (ctx) => resolved.has(ctx),
        resolve: (ctx, next) => middleware(ctx as never, next) as Promise<void>,
        now: shared.clock,
      });
      return endpoints.middleware;
    },
  };
  return Object.assign(middleware, surface);

  async function serve(
    ctx: Context,
    next: Next,
    mode: Mode,
    presented: readonly InstalledSource[],
    credential: Credential,
    isBrownout: boolean,
  ): Promise<void> {
    switch (credential.kind) {
      case "bearer":
        await adopt(credential.row);
        count(ctx, presented[0], "redundant");
        return paths.tokens.run(ctx, next, credential);
      case "invalid":
        count(ctx, presented[0], "redundant");
        return paths.tokens.run(ctx, next, credential);
      case "legacy":
        return serveLegacy(ctx, next, mode, presented, credential);
      case "none":
        if (mode === "tokens") drop(ctx, presented, isBrownout);
        return serveNew(ctx, next, mode);
    }
  }

  async function serveNew(ctx: Context, next: Next, mode: Mode): Promise<void> {
    const first = sources.find(({ isReadOnly }) => isReadOnly !== true);
    if (mode === "tokens" || mode === "drain" || first === undefined) {
      return paths.tokens.run(ctx, next, noCredential);
    }
    const request = new LegacyRequest(environment, ctx, mode, first);
    await paths.legacy.run(request, first, next);
    await offers.make(request);
  }

  async function serveLegacy(
    ctx: Context,
    next: Next,
    mode: Mode,
    presented: readonly InstalledSource[],
    credential: Credential & { kind: "legacy" },
  ): Promise<void> {
    const { source, request } = credential;
    if (credential.dead !== undefined && (mode === "drain" || source.isReadOnly === true)) {
      count(ctx, source, credential.dead);
      return serveNew(ctx, next, mode);
    }
    try {
      await paths.legacy.run(request, source, next);
    } finally {
      const outcome = paths.legacy.outcomeOf(credential);
      count(ctx, source, outcome);
      if (outcome === "hit" && !ctx.headerSent) markDeprecated(ctx);
      if (request.isLoggedOut) await paths.legacy.endOthers(request, presented);
    }
    await offers.make(request);
  }

  // A brownout only rehearses: the cookie has to work again after it.
  function drop(ctx: Context, presented: readonly LegacySource[], isBrownout: boolean): void {
    for (const source of presented) {
      if (!isBrownout) source.clear(ctx);
      count(ctx, source, "dropped", isBrownout);
    }
  }

  async function adopt({ id, link, adoptedAt }: SessionRow): Promise<void> {
    if (link === null || adoptedAt !== null) return;
    if (await adoptSession(db, id)) events.emit("adopted", { source: link.source, sessionId: id });
  }

  function count(
    ctx: Context,
    source: LegacySource | undefined,
    outcome: LegacyOutcome,
    isBrownout = false,
  ): void {
    if (source === undefined) return;
    monitor.tellCookie(ctx, source.name, outcome, isBrownout);
  }

  function markDeprecated(ctx: Context): void {
    for (const [name, value] of Object.entries(parsed.deprecation)) ctx.append(name, value);
  }

  async function issueTokens(ctx: Context): Promise<TokenPair> {
    const pair = await (paths.legacy.issueTokens(ctx, { evenIfAdopted: true }) ??
      paths.tokens.issueTokens(ctx));
    if (pair === undefined) return missingMiddleware();
    forbidCaching(ctx);
    return pair;
  }
}

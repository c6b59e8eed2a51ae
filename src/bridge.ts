import type Koa from "koa";
import type { Context, DefaultState, Middleware, Next } from "koa";
import { answering } from "./answer.js";
import { type AtOnce, goOn } from "./at-once.js";
import { readBridgeOptions, type SessionBridgeOptions } from "./bridge-options.js";
import { createParts } from "./bridge-parts.js";
import { shareAt } from "./brownout.js";
import { type Credential, presentedSources, readCredential } from "./credential.js";
import type { LegacyOutcome, PresentedCredential } from "./events.js";
import { isBrownedOut } from "./legacy/browned-out.js";
import type { InstalledSource } from "./legacy/legacy-path.js";
import { LegacyRequest } from "./legacy/legacy-request.js";
import type { LegacySource } from "./legacy/source.js";
import type { Mode } from "./mode.js";
import { createDashboard } from "./monitor/dashboard/server.js";
import { timeBeside } from "./monitor/time-beside.js";
import type { BridgeSurface, KoaApplication, SessionBridge } from "./session-bridge.js";
import { adoptSession } from "./store/links.js";
import { createEndpoints, type Endpoints, readPrefix } from "./tokens/endpoints.js";
import type { TokenPair } from "./tokens/jwt.js";
import { noCredential } from "./tokens/token-path.js";
import {
  guardPool,
  logout,
  missingMiddleware,
  refusalTeller,
  type SessionContext,
} from "./tokens/token-session.js";
import { forbidCaching } from "./transport.js";

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
  const parts = createParts(parsed, app as Koa);
  const { events, db, sources, flag, paths, offers, monitor, tell, refreshTokens } = parts;
  const listener = { tell, refused: refusalTeller(events) };
  const release = guardPool(shared.pool, tell);
  const dashboards: ((ctx: Context) => boolean)[] = [];
  // Whoever watches the numbers is not among them.
  const watching = new WeakSet<Context>();
  let endpoints: Endpoints | undefined;

  const middleware: Middleware<DefaultState, SessionContext> = (ctx, next) => {
    monitor.start();
    if (dashboards.some((serves) => serves(ctx))) watching.add(ctx);
    const timed = timeBeside(next);
    const told = (mode: Mode, credential: PresentedCredential) => {
      if (watching.has(ctx)) return;
      events.emit("request", { mode, credential, addedInSeconds: timed.addedInSeconds() });
    };
    return answering(ctx, timed.next, listener, (next) =>
      goOn(flag.of(ctx), (mode) => serveIn(mode, ctx, next, told)),
    );
  };

  const surface: BridgeSurface = {
    sessions: parts.sessions,
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
    backfill: parts.backfill,
    dashboard: (options) => {
      const status = () => monitor.status();
      const { keys } = tokens;
      const page = createDashboard(options, { db, keys, modeFrom: flag.from, status, tell });
      dashboards.push(page.serves);
      return page.middleware;
    },
    inspectCookie: async (header) => parts.inspector.cookie(header),
    inspectSettings: () => parts.inspector.settings(),
    probeOldStores: async () => parts.inspector.oldStores(),
    close: async () => {
      flag.close();
      parts.cache?.close();
      await monitor.close();
      release();
    },
    routes(options) {
      endpoints = createEndpoints(readPrefix(options), {
        upgrade: (ctx) =>
          paths.legacy.issueTokens(ctx, { evenIfAdopted: false }) ??
          paths.tokens.refuseUpgrade(ctx),
        refresh: refreshTokens,
        logout,
        refused: listener.refused,
        isResolved: (ctx) => paths.tokens.hasBegun(ctx) || paths.legacy.hasBegun(ctx),
        resolve: (ctx, next) => middleware(ctx as never, next) as Promise<void>,
        now: shared.clock,
      });
      return endpoints.middleware;
    },
  };
  return Object.assign(middleware, surface);

  function serveIn(
    mode: Mode,
    ctx: Context,
    next: Next,
    told: (mode: Mode, credential: PresentedCredential) => void,
  ): AtOnce<void> {
    if (endpoints?.isRefresh(ctx)) {
      return paths.tokens.run(ctx, next, noCredential).finally(() => {
        told(mode, "refresh");
      });
    }
    const presented = presentedSources(ctx, sources);
    // A rehearsal must not keep out whoever can end it.
    const isSpared = mode === "tokens" || watching.has(ctx);
    const isOut = !isSpared && isBrownedOut(ctx, presented, flag.brownout, db.now());
    const found = readCredential(ctx, isOut ? "tokens" : mode, presented, paths);
    return goOn(found, async (credential) => {
      try {
        if (isOut && credential.kind === "none") await serveBrownedOut(ctx, next, mode, presented);
        else await serve(ctx, next, mode, presented, credential);
      } finally {
        told(mode, credential.kind);
      }
    });
  }

  function serve(
    ctx: Context,
    next: Next,
    mode: Mode,
    presented: readonly InstalledSource[],
    credential: Credential,
  ): Promise<void> {
    switch (credential.kind) {
      case "bearer":
        return serveBearer(ctx, next, mode, presented, credential);
      case "invalid":
        count(ctx, presented[0], "redundant");
        return paths.tokens.run(ctx, next, credential);
      case "legacy":
        return serveLegacy(ctx, next, mode, presented, credential);
      case "none":
        if (mode === "tokens") drop(ctx, presented);
        return serveNew(ctx, next, mode);
    }
  }

  async function serveBearer(
    ctx: Context,
    next: Next,
    mode: Mode,
    presented: readonly InstalledSource[],
    credential: Credential & { kind: "bearer" },
  ): Promise<void> {
    const { id, link, adoptedAt } = credential.row;
    if (link !== null && adoptedAt === null) await adopt(id, link);
    count(ctx, presented[0], "redundant");
    const left = presented.filter(({ name }) => link === null || name === link.source);
    try {
      await paths.tokens.run(ctx, next, credential);
    } finally {
      if (left.length > 0) await leave(ctx, mode, left);
    }
  }

  // As in mode `tokens`, but it only rehearses: the cookie has to work again afterwards. Unless its owner
  // has left, who could not tell why.
  async function serveBrownedOut(
    ctx: Context,
    next: Next,
    mode: Mode,
    presented: readonly InstalledSource[],
  ): Promise<void> {
    for (const source of presented) count(ctx, source, "dropped", true);
    await serveNew(ctx, next, "tokens").finally(() => leave(ctx, mode, presented));
  }

  // A cookie that came beside the session which the handler has ended may open another one: of somebody who
  // logged in anew in a brownout, the one from before it.
  async function leave(ctx: Context, mode: Mode, presented: readonly InstalledSource[]) {
    if (!paths.tokens.isLoggedOut(ctx)) return;
    // By then the old store may be gone: what is refused anyway is not looked for.
    if (mode !== "tokens") await paths.legacy.endPresented(ctx, mode, presented);
    else if (!ctx.headerSent) for (const source of presented) source.clear(ctx);
  }

  async function serveNew(ctx: Context, next: Next, mode: Mode): Promise<void> {
    const first = sources.find(({ isReadOnly }) => isReadOnly !== true);
    if (mode === "tokens" || mode === "drain" || first === undefined) {
      return paths.tokens.run(ctx, next, noCredential);
    }
    const request = new LegacyRequest(parts.environment, ctx, mode, first);
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
      const others = presented.filter((other) => other !== source);
      if (request.isLoggedOut) await paths.legacy.endPresented(ctx, mode, others);
    }
    await offers.make(request);
  }

  function drop(ctx: Context, presented: readonly LegacySource[]): void {
    for (const source of presented) {
      source.clear(ctx);
      count(ctx, source, "dropped");
    }
  }

  async function adopt(sessionId: string, { source }: { source: string }): Promise<void> {
    if (await adoptSession(db, sessionId)) events.emit("adopted", { source, sessionId });
  }

  function count(
    ctx: Context,
    source: LegacySource | undefined,
    outcome: LegacyOutcome,
    isBrownout = false,
  ): void {
    if (source === undefined || watching.has(ctx)) return;
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

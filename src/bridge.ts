import type Koa from "koa";
import type { Context, DefaultState, Middleware } from "koa";
import { answering } from "./answer.js";
import { goOn } from "./at-once.js";
import { readBridgeOptions, type SessionBridgeOptions } from "./bridge-options.js";
import { createParts } from "./bridge-parts.js";
import { shareAt } from "./brownout.js";
import type { PresentedCredential } from "./events.js";
import type { Mode } from "./mode.js";
import { createDashboard } from "./monitor/dashboard/server.js";
import { timeBeside } from "./monitor/time-beside.js";
import { createServing } from "./serve.js";
import type { BridgeSurface, KoaApplication, SessionBridge } from "./session-bridge.js";
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
  const { events, db, sources, flag, paths, monitor, tell, refreshTokens } = parts;
  const listener = { tell, refused: refusalTeller(events) };
  const release = guardPool(shared.pool, tell);
  const dashboards: ((ctx: Context) => boolean)[] = [];
  // Whoever watches the numbers is not among them.
  const watching = new WeakSet<Context>();
  const serve = createServing(parts, parsed.deprecation, (ctx) => watching.has(ctx));
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
      goOn(flag.of(ctx), (mode) => {
        if (!endpoints?.isRefresh(ctx)) return serve(mode, ctx, next, told);
        return paths.tokens.run(ctx, next, noCredential).finally(() => {
          told(mode, "refresh");
        });
      }),
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

  async function issueTokens(ctx: Context): Promise<TokenPair> {
    const pair = await (paths.legacy.issueTokens(ctx, { evenIfAdopted: true }) ??
      paths.tokens.issueTokens(ctx));
    if (pair === undefined) return missingMiddleware();
    forbidCaching(ctx);
    return pair;
  }
}

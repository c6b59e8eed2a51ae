import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Server } from "node:http";
import Koa, { type Context } from "koa";
import session from "koa-session";
import type { Pool } from "pg";
import { Registry } from "prom-client";
import { koaSession, sessionBridge, type Mode, type SessionBridge } from "../src/index.js";
import { prometheusMetrics } from "../src/monitor/prometheus.js";
import { OldStore } from "./old-store.js";

type AppContext = Context & { session: any };

/** The shop's own routes. They know sessions, and nothing of cookies or tokens. */
const routes: Record<string, (ctx: AppContext, argument: string) => void> = {
  "POST /login": (ctx, user) => {
    ctx.session = { user, cart: [] };
    ctx.body = ctx.session;
  },
  "GET /cart": (ctx) => {
    if (isLoggedIn(ctx)) ctx.body = ctx.session;
  },
  "POST /cart": (ctx, item) => {
    if (!isLoggedIn(ctx)) return;
    ctx.session.cart = [...ctx.session.cart, item];
    ctx.body = ctx.session;
  },
  "POST /logout": (ctx) => {
    ctx.session = null;
    ctx.status = 204;
  },
};

function isLoggedIn(ctx: AppContext): boolean {
  if (ctx.session.user) return true;
  ctx.status = 401;
  ctx.body = "Not logged in";
  return false;
}

/** What stays the same when the application is restarted. */
export interface Setting {
  readonly pool: Pool;
  readonly store: OldStore;
  readonly cookieKeys: string[];
  readonly signingKeys: { kid: string; alg: "HS256"; key: string }[];
  readonly clock: () => Date;
}

export function createSetting(pool: Pool, clock: () => Date): Setting {
  const secret = () => randomBytes(32).toString("base64url");
  return {
    pool,
    store: new OldStore(pool),
    cookieKeys: [secret()],
    signingKeys: [{ kid: "demo", alg: "HS256", key: secret() }],
    clock,
  };
}

/** The shop before the migration. */
export function createOldShop({ store, cookieKeys }: Setting): Koa {
  const app = new Koa();
  app.keys = cookieKeys;
  const CONFIG = { store };
  app.use(session(CONFIG, app));
  serveRoutes(app);
  return app;
}

/** The shop with the one line swapped, and what else the demo looks at. */
export function createBridgedShop(
  { store, cookieKeys, pool, signingKeys, clock }: Setting,
  mode?: () => Mode,
): { app: Koa; bridge: SessionBridge } {
  const app = new Koa();
  app.keys = cookieKeys;
  const CONFIG = { store };
  const labels = (ctx: Context) => ({ client: ctx.get("X-Client-Version") || "unknown" });
  const bridge = sessionBridge(
    {
      legacy: koaSession(session, CONFIG),
      pool,
      tokens: { signingKeys },
      clock,
      labels,
      ...(mode && { mode }),
    },
    app,
  );
  serveMetrics(app, bridge);
  app.use(bridge);
  app.use(bridge.routes());
  serveRoutes(app);
  return { app, bridge };
}

// Above the bridge: scrapes are none of the requests that it counts.
function serveMetrics(app: Koa, bridge: SessionBridge): void {
  const register = new Registry();
  prometheusMetrics(bridge, { register, labels: ["client"] });
  app.use(async (ctx, next) => {
    if (ctx.path !== "/metrics") return next();
    ctx.type = register.contentType;
    ctx.body = await register.metrics();
  });
}

function serveRoutes(app: Koa): void {
  app.use(async (ctx, next) => {
    const [, name = "", argument = ""] = ctx.path.split("/");
    const route = routes[`${ctx.method} /${name}`];
    if (route === undefined) await next();
    else route(ctx as AppContext, argument);
  });
}

/** A running application; `close` is its part of a restart. */
export interface Running {
  close(): Promise<void>;
}

/** Listens on 127.0.0.1. What Koa reports as an error goes to `onError`. */
export async function listen(
  app: Koa,
  port: number,
  onError: (error: Error) => void,
): Promise<Running> {
  app.on("error", (error: Error & { expose?: boolean }) => {
    if (error.expose !== true) onError(error);
  });
  const server: Server = app.listen(port, "127.0.0.1");
  await once(server, "listening");
  return {
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

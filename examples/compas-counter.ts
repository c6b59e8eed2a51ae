/** A Compas app that counts. Its handlers stay the same; the middleware under them is chosen by stage. */
import { session } from "@compas/server";
import Koa from "koa";
import type { Pool } from "pg";
// In your project: from "koa-session-bridge", and tokenSession from "koa-session-bridge/tokens".
import {
  compasLegacyStore,
  compasSession,
  sessionBridge,
  type SessionContext,
  type SigningKey,
} from "../src/index.js";
import { tokenSession } from "../src/tokens/index.js";

type App = Koa<Koa.DefaultState, SessionContext>;

// What no stage changes.
function counter(ctx: Koa.ParameterizedContext<Koa.DefaultState, SessionContext>) {
  if (ctx.path === "/init") ctx.session = { counter: 0 };
  else if (ctx.path === "/destroy") ctx.session = null;
  else if (ctx.path === "/increment" && ctx.session) {
    ctx.session.counter = Number(ctx.session.counter ?? 0) + 1;
  }
  ctx.body = { counter: (ctx.session?.counter ?? null) as number | null };
}

const signingKeys = () => JSON.parse(process.env["SESSION_SIGNING_KEYS"] ?? "[]") as SigningKey[];

const stages = {
  /** Compas's cookies, named and signed by APP_NAME, APP_KEYS and NODE_ENV. */
  before(app: App, pool: Pool) {
    const middleware: unknown = session(app as never, { store: compasLegacyStore(pool) });
    app.use(middleware as Koa.Middleware);
  },

  /** The same cookies, and tokens that @compas/store understands. */
  during(app: App, pool: Pool) {
    const legacy = compasSession(session, { store: compasLegacyStore(pool) });
    const tokens = { signingKeys: signingKeys(), compas: true };
    const bridge = sessionBridge({ legacy, pool, tokens }, app);
    app.use(bridge).use(bridge.routes());
  },

  after(app: App, pool: Pool) {
    const sessions = tokenSession({ pool, signingKeys: signingKeys(), compas: true });
    app.use(sessions).use(sessions.routes());
  },
};

export function createApp(pool: Pool, stage: keyof typeof stages) {
  const app: App = new Koa();
  stages[stage](app, pool);
  return app.use(counter);
}

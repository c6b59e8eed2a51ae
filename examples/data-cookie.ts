/** An app with koa-session and no store: the session's data is in the cookie. */
import Koa from "koa";
import session from "koa-session";
import type { Pool } from "pg";
// In your project: from "koa-session-bridge".
import { koaSession, sessionBridge, type SessionContext, type SigningKey } from "../src/index.js";

export function createApp(pool: Pool) {
  const app = new Koa<Koa.DefaultState, SessionContext>();
  app.keys = [process.env["COOKIE_KEY"] ?? "the key that signs your cookies"];
  const CONFIG = { key: "app.sess", maxAge: 86_400_000 };
  const signingKeys = JSON.parse(process.env["SESSION_SIGNING_KEYS"] ?? "[]") as SigningKey[];

  const bridge = sessionBridge(
    { legacy: koaSession(session, CONFIG), pool, tokens: { signingKeys } },
    app,
  );
  app.use(bridge);
  app.use(bridge.routes());

  app.use(async (ctx) => {
    if (ctx.path === "/login") {
      ctx.session = { user: ctx.query["user"] ?? "ada" };
      // A new id: whoever knew the visitor's cookie before the login must not know it after.
      await ctx.session?.regenerate();
    } else if (ctx.path === "/logout") {
      // The bridge refuses the cookie from here on, even if somebody kept a copy.
      ctx.session = null;
    }
    ctx.body = ctx.session ?? {};
  });
  return app;
}

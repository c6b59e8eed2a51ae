/** A login that answers with the tokens in its body, as OAuth's token endpoint does. */
import Koa from "koa";
import session from "koa-session";
import type { Pool } from "pg";
// In your project: from "koa-session-bridge".
import { koaSession, sessionBridge, type SessionContext, type SigningKey } from "../src/index.js";

export function createApp(pool: Pool) {
  const app = new Koa<Koa.DefaultState, SessionContext>();
  app.keys = [process.env["COOKIE_KEY"] ?? "the key that signs your cookies"];
  const signingKeys = JSON.parse(process.env["SESSION_SIGNING_KEYS"] ?? "[]") as SigningKey[];

  const bridge = sessionBridge(
    {
      legacy: koaSession(session, {}),
      pool,
      tokens: { signingKeys },
      // Headers carry no tokens: clients of cookie sessions are told to POST /session/upgrade.
      transport: "endpoint",
    },
    app,
  );
  app.use(bridge);
  app.use(bridge.routes());

  app.use(async (ctx) => {
    if (ctx.path === "/login") {
      ctx.session = { user: ctx.query["user"] ?? "ada" };
      const pair = await bridge.issueTokens(ctx);
      ctx.set("Cache-Control", "no-store");
      ctx.body = {
        access_token: pair.accessToken,
        token_type: "Bearer",
        refresh_token: pair.refreshToken,
      };
    } else {
      ctx.body = ctx.session ?? {};
    }
  });
  return app;
}

/** What remains when the migration is over: no bridge, no koa-session. */
import Koa from "koa";
import type { Pool } from "pg";
// In your project: from "koa-session-bridge/tokens".
import { type SessionContext, type SigningKey, tokenSession } from "../src/tokens/index.js";

export function createApp(pool: Pool) {
  const app = new Koa<Koa.DefaultState, SessionContext>();
  const signingKeys = JSON.parse(process.env["SESSION_SIGNING_KEYS"] ?? "[]") as SigningKey[];

  const sessions = tokenSession({ pool, signingKeys });
  sessions.on("session:leaked", ({ sessionId }) => {
    console.warn(`A refresh token of session ${sessionId} was used twice; the session has ended.`);
  });
  app.use(sessions);
  app.use(sessions.routes());

  app.use((ctx) => {
    if (ctx.path === "/login") ctx.session = { user: ctx.query["user"] ?? "ada" };
    else if (ctx.path === "/logout") ctx.session = null;
    ctx.body = ctx.session ?? {};
  });
  return app;
}

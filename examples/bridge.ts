/** An app with koa-session over a store of its own, with the one line swapped. */
import Koa from "koa";
import session from "koa-session";
import type { Pool } from "pg";
// In your project: from "koa-session-bridge".
import { koaSession, sessionBridge, type SessionContext, type SigningKey } from "../src/index.js";

/** Stands for the store that your app has: anything that koa-session takes. */
class OldStore {
  readonly #sessions = new Map<string, unknown>();

  get(key: string) {
    return Promise.resolve(this.#sessions.get(key));
  }

  set(key: string, value: unknown) {
    this.#sessions.set(key, structuredClone(value));
    return Promise.resolve();
  }

  destroy(key: string) {
    this.#sessions.delete(key);
    return Promise.resolve();
  }
}

export function createApp(pool: Pool, store = new OldStore()) {
  const app = new Koa<Koa.DefaultState, SessionContext>();
  app.keys = [process.env["COOKIE_KEY"] ?? "the key that signs your cookies"];
  const CONFIG = { store, maxAge: 86_400_000 };
  const signingKeys = JSON.parse(process.env["SESSION_SIGNING_KEYS"] ?? "[]") as SigningKey[];

  // Before: app.use(session(CONFIG, app));
  const bridge = sessionBridge(
    { legacy: koaSession(session, CONFIG), pool, tokens: { signingKeys } },
    app,
  );
  bridge.on("error", (error) => {
    console.error(error);
  });
  app.use(bridge);
  app.use(bridge.routes());

  app.use((ctx) => {
    if (ctx.path === "/login") ctx.session = { user: ctx.query["user"] ?? "ada" };
    else if (ctx.path === "/logout") ctx.session = null;
    else if (ctx.session) ctx.session.views = Number(ctx.session.views ?? 0) + 1;
    ctx.body = ctx.session ?? {};
  });
  return app;
}

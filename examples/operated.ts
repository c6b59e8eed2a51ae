/** An app whose operators see who still comes with a cookie, on a page and in Prometheus. */
import Koa from "koa";
import session from "koa-session";
import type { Pool } from "pg";
import { Registry } from "prom-client";
// In your project: from "koa-session-bridge" and "koa-session-bridge/prometheus".
import { koaSession, sessionBridge, type SessionContext, type SigningKey } from "../src/index.js";
import { prometheusMetrics } from "../src/monitor/prometheus.js";

const sessions = new Map<string, unknown>();
/** Stands for your store. With `keys()` the command backfill can list its sessions. */
const store = {
  get: async (key: string) => sessions.get(key),
  set: async (key: string, value: unknown) => void sessions.set(key, structuredClone(value)),
  destroy: async (key: string) => void sessions.delete(key),
  keys: () => sessions.keys(),
};

export function createApp(pool: Pool) {
  const app = new Koa<Koa.DefaultState, SessionContext>();
  app.keys = [process.env["COOKIE_KEY"] ?? "the key that signs your cookies"];
  const signingKeys = JSON.parse(process.env["SESSION_SIGNING_KEYS"] ?? "[]") as SigningKey[];

  const bridge = sessionBridge(
    {
      legacy: koaSession(session, { store }),
      pool,
      // One connection listens: the fleet flips at once. Behind a pooler, a pool that goes around it.
      directPool: pool,
      tokens: { signingKeys },
      labels: (ctx) => ({ client: ctx.get("X-Client-Version") || "unknown" }),
      deprecation: { at: new Date("2027-01-01"), sunset: new Date("2027-06-30") },
    },
    app,
  );
  bridge.on("error", console.error);

  const register = new Registry();
  prometheusMetrics(bridge, { register, labels: ["client"] });
  // Above the bridge: a scrape is no request of a user.
  app.use(async (ctx, next) => {
    if (ctx.path !== "/metrics") return void (await next());
    ctx.type = register.contentType;
    ctx.body = await register.metrics();
  });
  // Your proxy sets this header, and takes it from all other requests. By a session of a cookie alone nobody
  // would get in any more in mode `tokens`.
  app.use(bridge.dashboard({ authorize: (ctx) => ctx.get("X-Operator") }));
  app.use(bridge);
  app.use(bridge.routes());

  app.use((ctx) => {
    if (ctx.path === "/login") ctx.session = { user: ctx.query["user"] ?? "ada" };
    ctx.body = ctx.session ?? {};
  });
  return Object.assign(app, { bridge });
}

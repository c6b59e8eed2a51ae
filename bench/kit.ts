import type { RequestListener } from "node:http";
import Koa, { type Context, type Middleware } from "koa";
import type pg from "pg";
import { cookieName, lifetimeInSeconds } from "./credentials.js";
import type { World } from "./serve.js";

/** What the applications keep in a session. */
export interface BenchSession {
  userId?: number;
  count: number;
}

/** What every variant is built with. */
export interface Kit {
  readonly world: World;
  readonly bridge: typeof import("../src/index.js");
  readonly tokens: typeof import("../src/tokens/index.js");
  /** Ten connections, which is the default of pg and the number given to every peer. */
  readonly pool: pg.Pool;
}

export type BenchContext = Context & { session?: BenchSession | null };

/** koa-session's options; connect-pg-simple's cookie is the same. */
export const cookieConfig = { key: cookieName, maxAge: lifetimeInSeconds * 1000 };

/**
 * What every variant answers: `/read/7` and `/count/7`, to user number 7 alone, so that an answer from
 * somebody else's session shows under load.
 */
export function answer(
  session: Partial<BenchSession> | null | undefined,
  path: string,
): { status: number; body: object } {
  const [, action, user] = path.split("/");
  if (session?.userId === undefined) return { status: 401, body: {} };
  if (session.userId !== Number(user)) return { status: 403, body: {} };
  if (action === "count") session.count = Number(session.count) + 1;
  return { status: 200, body: { userId: session.userId, count: session.count } };
}

/** A Koa application with the session middlewares that `install` puts in. */
export function koa({ world }: Pick<Kit, "world">, install: (app: Koa) => void): RequestListener {
  const app = new Koa();
  app.keys = [world.secrets.cookieKey];
  install(app);
  app.use((ctx: BenchContext) => {
    Object.assign(ctx, answer(ctx.session, ctx.path));
  });
  const handle = app.callback();
  return (request, response) => void handle(request, response);
}

/** Gives `ctx.session` what `read` makes of a request. */
export const reading = (read: (ctx: Context) => Promise<unknown>): Middleware =>
  async function readSession(ctx: BenchContext, next) {
    ctx.session = (await read(ctx)) as BenchSession | null;
    await next();
  };

export const bearerToken = (ctx: Context) => ctx.get("Authorization").slice("Bearer ".length);

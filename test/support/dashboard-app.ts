import type { Context, Middleware } from "koa";
import type pg from "pg";
import {
  type DashboardOptions,
  expressSession,
  koaSession,
  type SessionBridgeOptions,
} from "../../src/index.js";
import { type AppOptions, MapStore, type RunningApp, startBridgedApp } from "./app.js";
import { cookieKeys } from "./app.js";
import { createPgSessionTable, createPgStore } from "./systems/express-session.js";
import { session } from "./versions.js";

/** Whoever has the cookie `operator`. */
export const byCookie = (ctx: Context) => ctx.cookies.get("operator");

/** The application of the tests with the page at `/session-bridge`, its mode from the database. */
export async function startDashboardApp(
  pool: pg.Pool,
  { authorize = byCookie, ...options }: DashboardAppOptions = {},
): Promise<RunningApp> {
  const page: { dashboard?: Middleware } = {};
  const running = await startBridgedApp(pool, {
    mode: undefined,
    ...options,
    above: async (ctx, next) => {
      await options.above?.(ctx, async () => undefined);
      await page.dashboard?.(ctx, next);
    },
  } as DashboardAppOptions);
  page.dashboard = running.bridge.dashboard({ authorize });
  return running;
}

type DashboardAppOptions = Partial<SessionBridgeOptions> &
  AppOptions & { authorize?: DashboardOptions["authorize"] };

/** Two old systems: sessions of koa-session that cannot be counted, and a table of connect-pg-simple. */
export async function twoSources(pool: pg.Pool, notUpgraded: number, until: Date) {
  await createPgSessionTable(pool);
  await pool.query(
    `insert into "session" ("sid", "sess", "expire")
    select gen_random_uuid()::text, '{}', $2::timestamptz from generate_series(1, $1::int)`,
    [notUpgraded, until],
  );
  return [
    koaSession(session, { store: new MapStore(), maxAge: 14 * 86_400_000 }),
    expressSession({
      secret: cookieKeys,
      store: createPgStore(pool),
      isInSameDatabase: true,
      cookie: { maxAge: 7 * 86_400_000 },
    }),
  ];
}

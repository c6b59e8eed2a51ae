import { session as compasServerSession } from "@compas/server";
import type { Middleware, Next } from "koa";
import type pg from "pg";
import { compasLegacyStore, compasSession } from "../../../src/index.js";
import type { AppOptions } from "../app.js";
import { type CompasEnvironment, development, setCompasEnvironment } from "./compas-environment.js";
import { keygripCookies } from "./cookies-of-id.js";
import type { OldSystem, StoredSession } from "./old-system.js";
import { packageVersion } from "./package-version.js";
import { withoutUnderscored } from "./pg-rows.js";
import { onKoa, startPlainKoa } from "./plain-koa.js";
import { handlersOf, koaSessionApi, withoutRegenerate } from "./session-api.js";

/** `session(app, options)` of @compas/server: the application comes first. */
export const compasServer = compasServerSession as unknown as (
  app: object,
  options: object,
) => Middleware;

// Its koa-session is 6.1, which cannot regenerate.
const handlers = handlersOf(withoutRegenerate(koaSessionApi));

/** As behind a proxy that ends TLS: in production Compas's cookies are `secure`. */
export const behindTls: NonNullable<AppOptions["above"]> = (ctx, next: Next) => {
  ctx.app.proxy = true;
  ctx.req.headers["x-forwarded-proto"] = "https";
  return next();
};

/** A Compas application with its table of sessions, in its own environment. */
export function compasSystem(environment: CompasEnvironment = development): OldSystem {
  const { APP_NAME, APP_KEYS } = environment;
  const key = `${APP_NAME.toLowerCase()}.sess`;
  const isProduction = environment.NODE_ENV === "production";
  return {
    row: "Compas (@compas/server session)",
    version: packageVersion("@compas/server"),
    name: `Compas in ${environment.NODE_ENV}`,
    hasStore: true,
    isReadOnly: false,
    canRegenerate: false,
    cookieNames: [key, `${key}.sig`, `${key}.public`],
    ownCookieNames: [],
    cookiesOfId: (id, signing = APP_KEYS?.split(",")[0] ?? APP_NAME) =>
      keygripCookies(key, id, signing, isProduction ? "sha256" : "sha1"),
    prepare: createCompasTable,

    on(pool, { cookie, options, koa } = {}) {
      const setUp = {
        handlers,
        keys: null,
        ...(isProduction && { above: behindTls }),
        ...onKoa(koa),
      };
      const config = () => {
        setCompasEnvironment(environment);
        return {
          store: compasLegacyStore(pool),
          keepPublicCookie: true,
          ...cookie,
          ...options,
        };
      };
      return {
        startPlain: () => startPlainKoa((app) => compasServer(app, config()), setUp),
        source: () => compasSession(compasServerSession, config()),
        bridged: setUp,
        rows: () => rowsOfCompas(pool),
      };
    },
  };
}

/** The table of an application that was made with Compas before it had tokens. */
export async function createCompasTable(pool: pg.Pool): Promise<void> {
  await pool.query(
    `create table "session" (
      "id" uuid primary key not null default gen_random_uuid(),
      "expires" timestamptz not null,
      "data" jsonb not null,
      "createdAt" timestamptz not null default now(),
      "updatedAt" timestamptz not null default now()
    )`,
  );
}

async function rowsOfCompas(pool: pg.Pool): Promise<StoredSession[]> {
  const { rows } = await pool.query<{ key: string; data: Record<string, unknown> }>(
    `select "id"::text as "key", "data" from "session" order by "id"`,
  );
  return rows.map(({ key, data }) => ({ key, data: withoutUnderscored(data) }));
}

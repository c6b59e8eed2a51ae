import { type AppError, type InsightEvent, newEvent } from "@compas/stdlib";
import {
  newPostgresConnection,
  sessionStoreCleanupExpiredSessions,
  sessionStoreCreate,
  sessionStoreGet,
  sessionStoreInvalidate,
  sessionStoreRefreshTokens,
  type SessionStoreSettings,
  sessionStoreUpdate,
} from "@compas/store";
import type { Sql } from "postgres";
import type { Tokens } from "./tokens.js";

/** A session as `sessionStoreGet` gives it. */
export interface CompasSession {
  id: string;
  checksum: string;
  data: Record<string, unknown>;
}

/** The session functions of the real `@compas/store`; what it refuses is undefined. */
export interface CompasStore {
  readonly sql: Sql;
  create(data: object): Promise<Tokens>;
  get(accessToken: string): Promise<CompasSession | undefined>;
  update(session: CompasSession): Promise<void>;
  invalidate(session: { id: string }): Promise<void>;
  refreshTokens(refreshToken: string): Promise<Tokens | undefined>;
  cleanupExpiredSessions(maxRevokedAgeInDays: number): Promise<void>;
  close(): Promise<void>;
}

type Either<Value> =
  { value: Value; error?: never } | { error: AppError | undefined; value?: never };

/** Opens `@compas/store` on a database, over its own `postgres` connection. */
export async function openCompasStore(
  databaseUrl: string,
  settings: SessionStoreSettings,
): Promise<CompasStore> {
  const { hostname, port, username, password, pathname } = new URL(databaseUrl);
  const sql = await newPostgresConnection({
    host: hostname,
    port: Number(port),
    user: username,
    password,
    database: pathname.slice(1),
    ssl: false,
    max: 5,
  });

  return {
    sql,
    create: async (data) => valueOf(await sessionStoreCreate(silentEvent(), sql, settings, data)),
    get: async (accessToken) => {
      const result = await sessionStoreGet(silentEvent(), sql, settings, accessToken);
      return accepted(result as Either<{ session: CompasSession }>)?.session;
    },
    update: async (session) =>
      valueOf(await sessionStoreUpdate(silentEvent(), sql, session as never)),
    invalidate: async (session) =>
      valueOf(await sessionStoreInvalidate(silentEvent(), sql, session as never)),
    refreshTokens: async (refreshToken) =>
      accepted(await sessionStoreRefreshTokens(silentEvent(), sql, settings, refreshToken)),
    cleanupExpiredSessions: (maxRevokedAgeInDays) =>
      sessionStoreCleanupExpiredSessions(silentEvent(), sql, maxRevokedAgeInDays),
    close: () => sql.end(),
  };
}

/** What Compas's functions report to; logs nothing. */
export const silentEvent = (): InsightEvent =>
  newEvent({ info: () => undefined, error: () => undefined });

function valueOf<Value>({ value, error }: Either<Value>): Value {
  if (error !== undefined) throw new Error(`@compas/store: ${error.key}`, { cause: error });
  return value as Value;
}

// A refusal has a status below 500; anything else is a failure of the test's own making.
function accepted<Value>(result: Either<Value>): Value | undefined {
  if (result.error !== undefined && result.error.status < 500) return undefined;
  return valueOf(result);
}

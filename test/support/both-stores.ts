import { vi } from "vitest";
import { createSessionStore, type SessionStore } from "../../src/tokens/index.js";
import { type CompasSession, type CompasStore, openCompasStore } from "./compas-store.js";
import { compasTables } from "./compas-tables.js";
import { type TestDatabase, testDatabase } from "./database.js";
import type { Tokens } from "./tokens.js";

/** What either side can do with a session. */
export interface SharedStore {
  create(data: object): Promise<Tokens>;
  get(accessToken: string): Promise<CompasSession | undefined>;
  update(session: CompasSession): Promise<void>;
  invalidate(session: { id: string }): Promise<void>;
  refreshTokens(refreshToken: string): Promise<Tokens | undefined>;
  cleanupExpiredSessions(maxRevokedAgeInDays: number): Promise<void>;
}

export interface Job {
  name: string;
  data: { report: { session: { id: string; tokens: { createdAt: string }[] } } };
}

/** The real `@compas/store` and the store of this package, on one database and by one clock. */
export interface BothStores {
  readonly database: TestDatabase;
  readonly compas: SharedStore & Pick<CompasStore, "sql">;
  readonly bridge: SharedStore;
  /** `bridge`, as it is published. */
  readonly sessions: SessionStore;
  /** Session ids that `bridge` told of with `session:leaked`. */
  readonly leaked: string[];
  readonly errors: Error[];
  jobs(): Promise<Job[]>;
  close(): Promise<void>;
}

export const signingKey = "a signing key that both sides have, of 32 bytes or more";
export const accessTokenMaxAgeInSeconds = 900;
export const refreshTokenMaxAgeInSeconds = 30 * 24 * 60 * 60;

/** Opens both; from then on only `travel` moves the time. */
export async function openBothStores(): Promise<BothStores> {
  const database = await testDatabase();
  await database.pool.query(compasTables.job);
  const compas = await openCompasStore(database.url, {
    accessTokenMaxAgeInSeconds,
    refreshTokenMaxAgeInSeconds,
    signingKey,
  });
  vi.useFakeTimers({ toFake: ["Date"] });
  const sessions = createSessionStore({
    pool: database.pool,
    compas: true,
    accessTokenMaxAgeInSeconds,
    refreshTokenMaxAgeInSeconds,
    signingKeys: [{ kid: "shared", alg: "HS256", key: signingKey }],
  });
  const leaked: string[] = [];
  const errors: Error[] = [];
  sessions.on("session:leaked", ({ sessionId }) => leaked.push(sessionId));
  sessions.on("error", (error) => errors.push(error));

  return {
    database,
    compas,
    sessions,
    leaked,
    errors,
    bridge: {
      create: (data) => sessions.create({ ...data }),
      get: (accessToken) => sessions.get(accessToken),
      update: async (session) => void (await sessions.update(session)),
      invalidate: (session) => sessions.invalidate(session),
      refreshTokens: (refreshToken) => sessions.refreshTokens(refreshToken),
      cleanupExpiredSessions: async (maxRevokedAgeInDays) =>
        void (await sessions.cleanupExpiredSessions({ maxRevokedAgeInDays })),
    },
    jobs: async () => {
      const { rows } = await database.pool.query<Job>(
        `select "name", "data" from "job" order by "id"`,
      );
      return rows;
    },
    close: async () => {
      vi.useRealTimers();
      await compas.close();
      await database.drop();
    },
  };
}

/** Moves the time of both sides. */
export function travel(seconds: number): void {
  vi.setSystemTime(Date.now() + seconds * 1000);
}

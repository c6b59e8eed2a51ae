import pg from "pg";
import { expect } from "vitest";
import {
  type ClosableSessionStore,
  createSessionStore,
  migrate,
  type TokenSessionOptions,
} from "../../src/tokens/index.js";
import { signingKeys } from "./app.js";
import type { TestDatabase } from "./database.js";

/** A session store that caches, as a process of its own would have one. */
export interface CachedStore extends ClosableSessionStore {
  /** What it told of. */
  readonly errors: Error[];
  /** How many statements `get` sends now. */
  statementsOfGet(accessToken: string): Promise<number>;
  /** Resolves when `get` sends none. */
  caches(accessToken: string): Promise<void>;
}

/** On a database that tells of changes. `directUrl`: where it listens. */
export async function openCachedStore(
  database: TestDatabase,
  {
    directUrl = database.directUrl,
    cache = { maxAgeInSeconds: 600 },
    ...options
  }: Partial<TokenSessionOptions> & { directUrl?: string } = {},
): Promise<CachedStore> {
  await migrate(database.pool, { cache: true });
  const directPool = new pg.Pool({ connectionString: directUrl, max: 1 });
  directPool.on("error", () => undefined);
  const store = createSessionStore({
    pool: database.pool,
    directPool,
    signingKeys,
    cache,
    ...options,
  });
  const errors: Error[] = [];
  store.on("error", (error) => errors.push(error));
  const statementsOfGet = async (accessToken: string) => {
    const before = readsIn(database);
    await store.get(accessToken);
    return readsIn(database) - before;
  };
  return {
    ...store,
    errors,
    statementsOfGet,
    caches: async (accessToken) => {
      await expect
        .poll(() => statementsOfGet(accessToken), { timeout: 8000, interval: 20 })
        .toBe(0);
    },
    close: async () => {
      await store.close();
      // Ends only when the listening connection has been given back.
      if (!directPool.ending) await directPool.end();
    },
  };
}

/** Of the statements of the pool, those that read a session by an access token. */
export const readsIn = (database: Pick<TestDatabase, "queries">) =>
  database.queries.filter((text) => text.includes(`from "sessionStoreToken" t cross join`)).length;

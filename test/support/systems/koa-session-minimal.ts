import type { Next } from "koa";
import minimalSession from "koa-session-minimal";
import { koaSessionMinimal } from "../../../src/index.js";
import { PgLegacyStore } from "../pg-legacy-store.js";
import type { OldSystem } from "./old-system.js";
import { packageVersion } from "./package-version.js";
import { preparePgLegacyStore, rowsOfPgLegacyStore } from "./pg-rows.js";
import { onKoa, startPlainKoa } from "./plain-koa.js";
import { handlersOf, type SessionApi } from "./session-api.js";

const api: SessionApi = {
  read: (on) => on.session as unknown,
  replace: (on, data) => (on.session = data),
  remove: (on) => (on.session = null),
  regenerate: (on) => on.sessionHandler.regenerateId() as undefined,
};
/** What its applications do in these tests, by path. */
export const minimalHandlers = handlersOf(api);

interface Store {
  get(key: string): Promise<unknown>;
  set(key: string, value: unknown): Promise<void>;
  destroy(key: string): Promise<void>;
}

/** By itself, koa-session-minimal answers before its store has done what it was asked for. */
class SettlingStore {
  readonly #pending = new Set<Promise<void>>();

  constructor(private readonly store: Store) {}

  get(key: string): Promise<unknown> {
    return this.store.get(key);
  }

  set(key: string, value: unknown): void {
    this.#keep(this.store.set(key, value));
  }

  destroy(key: string): void {
    this.#keep(this.store.destroy(key));
  }

  async settled(): Promise<void> {
    await Promise.all(this.#pending);
  }

  #keep(work: Promise<void>): void {
    this.#pending.add(work);
    void work.finally(() => this.#pending.delete(work));
  }
}

/** koa-session-minimal: it neither signs its cookie nor asks for a signature, whatever the keys. */
export const koaSessionMinimalSystem: OldSystem = {
  row: "koa-session-minimal",
  version: packageVersion("koa-session-minimal"),
  name: "koa-session-minimal",
  hasStore: true,
  isReadOnly: false,
  canRegenerate: true,
  cookieNames: ["koa:sess"],
  ownCookieNames: [],
  cookiesOfId: (id) => ({ "koa:sess": id }),
  prepare: preparePgLegacyStore,

  on(pool, { cookie, options, keys, koa } = {}) {
    const setUp = { handlers: minimalHandlers, keys: keys ?? null, ...onKoa(koa) };
    const config = () => ({
      store: new PgLegacyStore(pool),
      cookie: { maxAge: 86_400_000, ...cookie },
      ...options,
    });
    return {
      startPlain() {
        const store = new SettlingStore(config().store);
        const above = async (_: unknown, next: Next) => {
          await next();
          await store.settled();
        };
        return startPlainKoa(() => minimalSession({ ...config(), store }), { ...setUp, above });
      },
      source: () => koaSessionMinimal(minimalSession, config()),
      bridged: setUp,
      rows: () => rowsOfPgLegacyStore(pool),
    };
  },
};

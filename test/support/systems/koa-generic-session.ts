import genericSession from "koa-generic-session";
import { koaGenericSession } from "../../../src/index.js";
import { cookieKeys } from "../app.js";
import { PgLegacyStore } from "../pg-legacy-store.js";
import { keygripCookies } from "./cookies-of-id.js";
import type { OldSystem } from "./old-system.js";
import { packageVersion } from "./package-version.js";
import { preparePgLegacyStore, rowsOfPgLegacyStore } from "./pg-rows.js";
import { onKoa, startPlainKoa } from "./plain-koa.js";
import { type Carrier, handlersOf, type SessionApi } from "./session-api.js";

// An application must keep `session.cookie`, so it empties the session instead of replacing it.
async function replace(on: Carrier, data: object): Promise<void> {
  const session = (await on.session) as Record<string, unknown>;
  for (const name of Object.keys(session)) if (name !== "cookie") delete session[name];
  Object.assign(session, data);
}

const api: SessionApi = {
  // With `defer` it is a promise, which every reader here waits for.
  read: (on) => on.session as unknown,
  replace,
  remove: (on) => (on.session = null),
  async regenerate(on) {
    const { cookie: _, ...data } = { ...(await on.session) } as Record<string, unknown>;
    await on.regenerateSession();
    Object.assign((await on.session) as object, data);
    // By itself it does not store under the new id what had not changed under the old one.
    on.sessionSave = true;
  },
};
/** What its applications do in these tests, by path. */
export const genericHandlers = handlersOf(api);

export const koaGenericSessionSystem: OldSystem = {
  row: "koa-generic-session",
  version: packageVersion("koa-generic-session"),
  name: "koa-generic-session",
  hasStore: true,
  isReadOnly: false,
  canRegenerate: true,
  cookieNames: ["koa.sid", "koa.sid.sig"],
  ownCookieNames: [],
  cookiesOfId: (id, key = cookieKeys[0]!) => keygripCookies("koa.sid", id, key),
  prepare: preparePgLegacyStore,

  on(pool, { cookie, options, keys = cookieKeys, koa } = {}) {
    const setUp = { handlers: genericHandlers, keys, ...onKoa(koa) };
    const config = () => ({
      store: new PgLegacyStore(pool),
      ...(cookie && { cookie }),
      ...options,
    });
    return {
      startPlain: () => startPlainKoa(() => genericSession(config()), setUp),
      source: () => koaGenericSession(genericSession, config()),
      bridged: setUp,
      rows: () => rowsOfPgLegacyStore(pool),
    };
  },
};

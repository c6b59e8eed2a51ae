import { koaSession } from "../../../src/index.js";
import { cookieKeys } from "../app.js";
import { PgLegacyStore } from "../pg-legacy-store.js";
import { koaSessionOf, type KoaSessionVersion } from "../versions.js";
import { keygripCookies } from "./cookies-of-id.js";
import { packageVersion } from "./package-version.js";
import type { OldSystem } from "./old-system.js";
import { preparePgLegacyStore, rowsOfPgLegacyStore } from "./pg-rows.js";
import { onKoa, startPlainKoa } from "./plain-koa.js";
import { handlersOf, koaSessionApi, withoutRegenerate } from "./session-api.js";

const aliases = { "5": "koa-session-5", "6": "koa-session-6", "7": "koa-session" };

/** koa-session of a major version, with a store or with the data in the cookie. */
export function koaSessionSystem(major: KoaSessionVersion, { hasStore = true } = {}): OldSystem {
  const session = koaSessionOf(major);
  const key = major === "5" ? "koa:sess" : "koa.sess";
  // koa-session 5 cannot regenerate.
  const canRegenerate = major !== "5";
  const handlers = handlersOf(canRegenerate ? koaSessionApi : withoutRegenerate(koaSessionApi));

  return {
    row: `koa-session ${major}`,
    version: packageVersion(aliases[major]),
    name: `koa-session ${major}${hasStore ? "" : ", data in the cookie"}`,
    hasStore,
    isReadOnly: false,
    canRegenerate,
    cookieNames: [key, `${key}.sig`],
    ownCookieNames: [],
    ...(hasStore && {
      cookiesOfId: (id: string, signing = cookieKeys[0]!) => keygripCookies(key, id, signing),
    }),
    prepare: preparePgLegacyStore,

    on(pool, { cookie, options, keys = cookieKeys, koa } = {}) {
      const setUp = { handlers, keys, ...onKoa(koa) };
      const store = hasStore ? { store: new PgLegacyStore(pool) } : {};
      const config = () => ({ ...cookie, ...store, ...options });
      return {
        startPlain: () => startPlainKoa((app) => session(config(), app), setUp),
        source: () => koaSession(session, config()),
        bridged: setUp,
        rows: () => rowsOfPgLegacyStore(pool),
      };
    },
  };
}

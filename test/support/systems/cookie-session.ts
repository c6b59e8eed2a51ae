import oldCookieSession from "cookie-session";
import { cookieSession } from "../../../src/index.js";
import { cookieKeys } from "../app.js";
import type { OldSystem } from "./old-system.js";
import { packageVersion } from "./package-version.js";
import { startPlainExpress } from "./plain-express.js";
import { onKoa } from "./plain-koa.js";
import { handlersOf, koaSessionApi, withoutRegenerate } from "./session-api.js";

const handlers = handlersOf(koaSessionApi);

export const cookieSessionSystem: OldSystem = {
  row: "cookie-session",
  version: packageVersion("cookie-session"),
  name: "cookie-session",
  hasStore: false,
  isReadOnly: true,
  // Through the bridge; by itself it has no ids.
  canRegenerate: true,
  cookieNames: ["session", "session.sig"],
  ownCookieNames: ["session.bridge"],
  prepare: () => Promise.resolve(),

  on(_pool, { cookie, options, koa } = {}) {
    const config = () => ({ keys: cookieKeys, ...cookie, ...options });
    return {
      startPlain: () =>
        startPlainExpress(oldCookieSession(config()), withoutRegenerate(koaSessionApi)),
      source: () => cookieSession(config()),
      bridged: { handlers, keys: null, ...onKoa(koa) },
      rows: () => Promise.resolve([]),
    };
  },
};

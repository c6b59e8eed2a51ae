import type Koa from "koa";
import type { Middleware } from "koa";
import { bridgingStore } from "./bridging-store.js";
import type { InstalledSource } from "./legacy-path.js";
import type { LegacySource } from "./source.js";

/**
 * Makes each source's middleware. The first is installed on the application itself, as before. An old
 * library that extends `app.context` can do so once for an application, so each further source gets a
 * context of its own, whose accessors stand on `ctx` while it serves the request.
 */
export function installSources(app: Koa, sources: readonly LegacySource[]): InstalledSource[] {
  return sources.map((source, index) => {
    if (index === 0) return { ...source, middleware: source.install(app, bridgingStore) };
    const context = Object.create(app.context) as Koa["context"];
    const home = Object.assign(Object.create(app) as Koa, { context });
    const installed = source.install(home, bridgingStore);
    const middleware: Middleware = (ctx, next) => {
      Object.defineProperties(ctx, Object.getOwnPropertyDescriptors(context));
      return installed(ctx, next) as Promise<void>;
    };
    return { ...source, middleware };
  });
}

import type Koa from "koa";
import type { Context, Middleware } from "koa";
import { createBridgingStore } from "./bridging-store.js";
import type { InstalledSource } from "./legacy-path.js";
import type { LegacySource } from "./source.js";

/**
 * Makes each source's middleware. The first is installed on the application itself, as before. An old
 * library that extends `app.context`, or sets `app.keys`, can do so once for an application, so each
 * further source gets an application of its own: its accessors stand on `ctx` while it serves the
 * request, and its keys sign its cookies.
 */
export function installSources(app: Koa, sources: readonly LegacySource[]): InstalledSource[] {
  return sources.map((source, index) => {
    const store = createBridgingStore();
    if (index === 0) return { ...source, store, middleware: source.install(app, store) };
    const context = Object.create(app.context) as Koa["context"];
    const home = Object.assign(Object.create(app) as Koa, { context });
    const installed = source.install(home, store);
    const middleware: Middleware = (ctx, next) => {
      // An accessor of the first source must not stand in the way of one that keeps the session on `ctx`.
      const session = { value: undefined, writable: true, configurable: true, enumerable: true };
      const own: PropertyDescriptorMap = Object.getOwnPropertyDescriptors(context);
      Object.defineProperties(ctx, { session, ...own });
      return installed(ctx, next) as Promise<void>;
    };
    const hasKeys = Object.hasOwn(home, "keys");
    // Compas gives its keys to an application that has none.
    if (hasKeys) app.keys ??= home.keys;
    const prepare = hasKeys && {
      prepare: (ctx: Context) => {
        signWith(ctx, source.cookieNames, home.keys);
      },
    };
    return { ...source, store, middleware, ...prepare };
  });
}

/** Has `ctx.cookies` sign and verify the cookies of these names with other keys. */
function signWith(ctx: Context, names: readonly string[], keys: Koa["keys"]): void {
  type Cookies = Context["cookies"];
  const { cookies } = ctx;
  const Jar = cookies.constructor as new (...args: unknown[]) => Cookies;
  const theirs = new Jar(ctx.req, ctx.res, { keys, secure: ctx.secure });
  const get = cookies.get.bind(cookies);
  const set = cookies.set.bind(cookies);
  cookies.get = (name, options) =>
    names.includes(name) ? theirs.get(name, options) : get(name, options);
  cookies.set = (...args: Parameters<Cookies["set"]>) => {
    if (names.includes(args[0])) theirs.set(...args);
    else set(...args);
    return cookies;
  };
}

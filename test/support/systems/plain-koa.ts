import type { Context, Middleware } from "koa";
import { type AppOptions, handle, listen } from "../app.js";
import { Koa, koaOf, type KoaVersion, session } from "../versions.js";
import type { OldApplication, PlainApp } from "./old-system.js";

/** The version of Koa that an application runs on, for `versions`. */
export function onKoa(version: KoaVersion | undefined): Pick<AppOptions, "versions"> {
  return version === undefined ? {} : { versions: { Koa: koaOf(version), session } };
}

/** A Koa application with an old session middleware alone. */
export async function startPlainKoa(
  install: (app: object) => Middleware,
  { handlers, keys = null, above, versions }: OldApplication["bridged"],
): Promise<PlainApp> {
  const app = new (versions?.Koa ?? Koa)();
  if (keys !== null) app.keys = keys;
  app.on("error", () => undefined);
  if (above !== undefined) app.use(above as never);
  app.use(install(app));
  app.use(handle(handlers) as (ctx: Context) => Promise<void>);
  return listen(app);
}

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

/** What Compas reads from the environment. */
export interface CompasEnvironment {
  readonly NODE_ENV: "development" | "production";
  readonly APP_NAME: string;
  readonly APP_KEYS?: string;
  readonly COOKIE_URL?: string;
}

// @compas/server reads a copy of the environment, which the very @compas/stdlib that it uses keeps.
const server = createRequire(import.meta.url).resolve("@compas/server");
const stdlib = pathToFileURL(createRequire(server).resolve("@compas/stdlib")).href;
const { refreshEnvironmentCache } = (await import(stdlib)) as {
  refreshEnvironmentCache: () => void;
};

/** Puts a Compas application's environment in place of the last one. */
export function setCompasEnvironment(environment: CompasEnvironment): void {
  for (const name of ["NODE_ENV", "APP_NAME", "APP_KEYS", "COOKIE_URL"] as const) {
    const value = environment[name];
    if (value === undefined) Reflect.deleteProperty(process.env, name);
    else process.env[name] = value;
  }
  refreshEnvironmentCache();
}

export const development: CompasEnvironment = { NODE_ENV: "development", APP_NAME: "OldApp" };
export const production: CompasEnvironment = {
  NODE_ENV: "production",
  APP_NAME: "OldApp",
  APP_KEYS: "compas-app-key-new-0123456789,compas-app-key-old-0123456789",
  COOKIE_URL: "127.0.0.1",
};

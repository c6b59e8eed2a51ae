import { compasSystem } from "./compas.js";
import { production } from "./compas-environment.js";
import { cookieSessionSystem } from "./cookie-session.js";
import { expressSessionSystem } from "./express-session.js";
import { koaGenericSessionSystem } from "./koa-generic-session.js";
import { koaSessionMinimalSystem } from "./koa-session-minimal.js";
import { koaSessionSystem } from "./koa-session.js";
import type { OldSystem } from "./old-system.js";

/** One system for each row of the README's table, in its order. */
export const systemsOfReadme: readonly OldSystem[] = [
  koaSessionSystem("5"),
  koaSessionSystem("6"),
  koaSessionSystem("7"),
  koaSessionMinimalSystem,
  koaGenericSessionSystem,
  compasSystem(),
  expressSessionSystem,
  cookieSessionSystem,
];

/** Every system, in every way in which the tests know it. */
export const oldSystems: readonly OldSystem[] = [
  ...systemsOfReadme,
  koaSessionSystem("7", { hasStore: false }),
  compasSystem(production),
];

/** For `describe.each`: each with its name. */
export const namedSystems = named(oldSystems);

export function named(systems: readonly OldSystem[]) {
  return systems.map((system) => [system.name, system] as const);
}

export function systemNamed(name: string | undefined): OldSystem {
  const system = oldSystems.find((candidate) => candidate.name === name);
  if (system === undefined) throw new Error(`no old system is named ${name}`);
  return system;
}

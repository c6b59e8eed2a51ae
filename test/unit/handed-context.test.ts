import pg from "pg";
import { expect, test } from "vitest";
import { compasLegacyStore, compasSession, koaSession } from "../../src/index.js";
import { compasServer } from "../support/systems/compas.js";
import { development, setCompasEnvironment } from "../support/systems/compas-environment.js";
import { koaSessionOf } from "../support/versions.js";

// A request that is not handed over has to be followed through every promise, which slows down all others.
const config = { store: compasLegacyStore(new pg.Pool()) };

test.each([
  ["5", false],
  ["6", true],
  ["7", true],
] as const)("koa-session %s hands its context to the store: %s", (version, expected) => {
  expect(koaSession(koaSessionOf(version), config).handsContext).toBe(expected);
});

test("Compas's session hands its context to the store", () => {
  setCompasEnvironment(development);
  for (const session of [compasServer, koaSessionOf("7")]) {
    expect(compasSession(session, config).handsContext).toBe(true);
  }
});

test("what stands around koa-session and works first counts as one that does not", () => {
  const around = (options: object, app: object) => {
    const middleware = koaSessionOf("7")(options, app);
    return async (ctx: never, next: never) => {
      await Promise.reject(new Error("not now"));
      return middleware(ctx, next);
    };
  };
  expect(koaSession(around as never, config).handsContext).toBe(false);
});

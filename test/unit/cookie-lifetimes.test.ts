import genericSession from "koa-generic-session";
import session from "koa-session";
import minimalSession from "koa-session-minimal";
import { describe, expect, test } from "vitest";
import {
  compasSession,
  cookieSession,
  expressSession,
  koaGenericSession,
  koaSession,
  koaSessionMinimal,
  type LegacySource,
} from "../../src/index.js";
import { MapStore } from "../support/app.js";
import { compasServer } from "../support/systems/compas.js";
import { development, setCompasEnvironment } from "../support/systems/compas-environment.js";
import { ExpressMapStore } from "../support/systems/express-map-store.js";

const day = 86_400;
const store = new MapStore();
const express = (cookie?: object) =>
  expressSession({ secret: "a secret", store: new ExpressMapStore(), ...(cookie && { cookie }) });
const compas = (config?: object) => {
  setCompasEnvironment(development);
  return compasSession(compasServer, { store, ...config });
};

describe("How long a new cookie is good for", () => {
  const sources: [string, () => LegacySource, number | undefined][] = [
    ["koa-session with a store", () => koaSession(session, { store, maxAge: 60_000 }), 60],
    ["koa-session with data", () => koaSession(session, { maxAge: 1 }), 1],
    ["koa-session by default", () => koaSession(session, { store }), day],
    ["koa-session until the end", () => koaSession(session, { maxAge: "session" }), undefined],
    ["koa-session without an age", () => koaSession(session, { maxAge: 0 }), day],
    [
      "koa-session-minimal",
      () => koaSessionMinimal(minimalSession, { store, cookie: { maxAge: 60_001 } }),
      61,
    ],
    ["koa-session-minimal by default", () => koaSessionMinimal(minimalSession, { store }), day],
    [
      "koa-session-minimal by a function",
      () => koaSessionMinimal(minimalSession, { store, cookie: () => ({ maxAge: 60_000 }) }),
      undefined,
    ],
    ["koa-generic-session by default", () => koaGenericSession(genericSession, { store }), day],
    [
      "koa-generic-session",
      () => koaGenericSession(genericSession, { store, cookie: { maxage: 60_000 } }),
      60,
    ],
    [
      "koa-generic-session until the end",
      () => koaGenericSession(genericSession, { store, cookie: { maxAge: null } }),
      undefined,
    ],
    ["Compas by default", () => compas(), 6 * day],
    ["Compas", () => compas({ maxAge: 60_000 }), 60],
    ["express-session by default", () => express(), undefined],
    ["express-session", () => express({ maxAge: 60_000 }), 60],
    ["express-session by a function", () => express(() => ({ maxAge: 60_000 })), undefined],
    ["cookie-session by default", () => cookieSession({ keys: ["a key"] }), undefined],
    ["cookie-session", () => cookieSession({ keys: ["a key"], maxAge: 60_000 }), 60],
  ];

  test.each(sources)("%s", (_, source, seconds) => {
    expect(source().cookieMaxAgeInSeconds).toBe(seconds);
  });

  test("cookie-session until a date", () => {
    const expires = new Date(Date.now() + 60_000);
    const { cookieMaxAgeInSeconds } = cookieSession({ keys: ["a key"], expires });
    expect(cookieMaxAgeInSeconds).toBeGreaterThan(55);
    expect(cookieMaxAgeInSeconds).toBeLessThanOrEqual(60);
  });
});

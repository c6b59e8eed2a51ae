import oldCookieSession from "cookie-session";
import oldExpressSession from "express-session";
import genericSession from "koa-generic-session";
import oldKoaSession from "koa-session";
import minimalSession from "koa-session-minimal";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  cookieSession,
  expressSession,
  koaGenericSession,
  koaSession,
  koaSessionMinimal,
} from "../../src/index.js";
import { MapStore } from "../support/app.js";

const config = { store: new MapStore() };
const as = (value: unknown) => value as never;
type MixUp = [name: string, problem: RegExp, make: () => unknown];

const callers = {
  koaSession: {
    call: koaSession,
    problem: /^koaSession: .* not koa-session itself; .* without calling it, .* koaGenericSession/,
  },
  koaGenericSession: {
    call: koaGenericSession,
    problem: /^koaGenericSession: .* the function that koa-generic-session exports, not called$/,
  },
  koaSessionMinimal: {
    call: koaSessionMinimal,
    problem: /^koaSessionMinimal: .* the function that koa-session-minimal exports, not called$/,
  },
};
const ready = {
  "the ready middleware of koa-session": oldKoaSession({}, as({ use: () => 0, context: {} })),
  "the ready middleware of koa-generic-session": genericSession(config),
  "the ready middleware of koa-session-minimal": minimalSession(config),
};
const readyGiven = Object.entries(callers).flatMap(([caller, { call, problem }]) =>
  Object.entries(ready).map(([name, middleware]): MixUp => [
    `${caller} given ${name}`,
    problem,
    () => call(as(middleware), config),
  ]),
);

const ofOthers: MixUp[] = [
  [
    "koaSession given koa-generic-session",
    callers.koaSession.problem,
    () => koaSession(as(genericSession), config),
  ],
  [
    "koaSession given koa-session-minimal",
    callers.koaSession.problem,
    () => koaSession(as(minimalSession), config),
  ],
  [
    "expressSession given express-session",
    /options: must be the options alone, without the function of express-session/,
    () => expressSession(as(oldExpressSession)),
  ],
  [
    "cookieSession given cookie-session",
    /options: must be the options alone, without the function of cookie-session/,
    () => cookieSession(as(oldCookieSession)),
  ],
];

const { MemoryStore } = as(oldExpressSession) as { MemoryStore: new () => object };
const lacking = ["get", "set", "destroy"].flatMap((missing): MixUp[] => {
  const store = { get: () => 0, set: () => 0, destroy: () => 0, [missing]: undefined };
  const problem = /: store must have the functions get, set and destroy$/;
  return [
    [
      `koaGenericSession given a store without ${missing}`,
      problem,
      () => koaGenericSession(genericSession, { store }),
    ],
    [
      `koaSessionMinimal given a store without ${missing}`,
      problem,
      () => koaSessionMinimal(minimalSession, { store }),
    ],
  ];
});
const inMemory: MixUp = [
  "expressSession given a MemoryStore",
  /store: keeps sessions in the memory of the process, where nothing can be carried over from/,
  () => expressSession({ secret: "secret", store: new MemoryStore() }),
];

describe("A TypeError says what to do", () => {
  const unhandled: unknown[] = [];
  const keep = (reason: unknown) => unhandled.push(reason);
  beforeEach(() => {
    process.on("unhandledRejection", keep);
  });
  afterEach(() => {
    process.off("unhandledRejection", keep);
    expect(unhandled.splice(0)).toEqual([]);
  });

  test.each([...readyGiven, ...ofOthers, ...lacking, inMemory])("about %s", async (...mixUp) => {
    const [, problem, make] = mixUp;
    expect(make).toThrow(TypeError);
    expect(make).toThrow(problem);
    await new Promise((resolve) => setTimeout(resolve, 5));
  });
});

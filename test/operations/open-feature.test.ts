import {
  type EvaluationContext,
  InMemoryProvider,
  OpenFeature,
  type Provider,
} from "@openfeature/server-sdk";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { openFeatureMode } from "../../src/index.js";
import { type RunningApp, startBridgedApp } from "../support/app.js";
import { TestClock } from "../support/clock.js";
import { type TestDatabase, testDatabase } from "../support/database.js";

let database: TestDatabase;
const apps: RunningApp[] = [];

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.drop());
afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
  await OpenFeature.clearProviders();
});

type Rule = (context: EvaluationContext) => string;

/** A flag of which every variant is named as its value. */
const flagOf = (defaultVariant: string, contextEvaluator?: Rule) => ({
  variants: { observe: "observe", bridge: "bridge", drain: "drain", tokens: "tokens", bad: "off" },
  defaultVariant,
  disabled: false,
  ...(contextEvaluator && { contextEvaluator }),
});

async function provide<Kind extends Provider>(provider: Kind): Promise<Kind> {
  await OpenFeature.setProviderAndWait(provider);
  return provider;
}

async function start(options: Parameters<typeof startBridgedApp>[1]): Promise<RunningApp> {
  const app = await startBridgedApp(database.pool, options);
  apps.push(app);
  return app;
}

const modeOf = async (app: RunningApp) => (await app.bridge.flag()).mode;
const messages = (app: RunningApp) => app.bridgeErrors.map(({ message }) => message);

test("a flip of the flag is seen by the next request", async () => {
  const provider = await provide(
    new InMemoryProvider({ "session-bridge-mode": flagOf("observe") }),
  );
  const app = await start({ mode: openFeatureMode(OpenFeature.getClient()) });
  for (const mode of ["observe", "drain", "tokens", "bridge"]) {
    provider.putConfiguration({ "session-bridge-mode": flagOf(mode) });
    const login = await app.browser().get("/login");
    expect(await modeOf(app)).toBe(mode);
    const offered = login.headers["session-access-token"] !== undefined;
    const cookie = login.setCookie.length > 0;
    expect([offered, cookie]).toEqual([
      mode !== "observe",
      mode === "observe" || mode === "bridge",
    ]);
  }
  expect(app.bridgeErrors).toEqual([]);
});

test("another flag, for a share of the users", async () => {
  await provide(
    new InMemoryProvider({
      cookies: flagOf("bridge", ({ targetingKey = "" }) =>
        Number(targetingKey) % 10 === 0 ? "drain" : "bridge",
      ),
    }),
  );
  const mode = openFeatureMode(OpenFeature.getClient(), {
    flag: "cookies",
    context: (ctx) => ({ targetingKey: ctx.get("X-User") }),
  });
  const app = await start({ mode });
  const logins = await Promise.all(
    Array.from({ length: 100 }, (_, user) =>
      app.browser().get("/login", { headers: { "x-user": String(user) } }),
    ),
  );
  const drained = logins.flatMap(({ setCookie }, user) => (setCookie.length === 0 ? [user] : []));
  expect(drained).toEqual([0, 10, 20, 30, 40, 50, 60, 70, 80, 90]);
});

describe("the last mode stays", () => {
  test("without the flag, with nonsense in it, and when the provider fails", async () => {
    const provider = await provide(
      new InMemoryProvider({ "session-bridge-mode": flagOf("drain") }),
    );
    const app = await start({ mode: openFeatureMode(OpenFeature.getClient()) });
    const browser = app.browser();
    const serves = async () => {
      expect((await browser.get("/whoami")).status).toBe(200);
      expect(await modeOf(app)).toBe("drain");
    };
    await serves();
    provider.putConfiguration({});
    await serves();
    provider.putConfiguration({ "session-bridge-mode": flagOf("bad") });
    await serves();
    provider.putConfiguration({
      "session-bridge-mode": flagOf("drain", () => {
        throw new Error("the rules do not load");
      }),
    });
    await serves();
    expect(messages(app)).toEqual([
      expect.stringMatching(/^the flag session-bridge-mode has no value: no flag found with key/),
      expect.stringMatching(/^options\.mode gave no mode: .*, got a string$/),
      expect.stringMatching(/^the flag session-bridge-mode has no value: .*the rules do not load/),
    ]);
  });

  test("and that is told once a minute, however many requests come", async () => {
    await provide(new InMemoryProvider({}));
    const clock = new TestClock();
    const app = await start({ clock: clock.now, mode: openFeatureMode(OpenFeature.getClient()) });
    const ask = () => Promise.all(Array.from({ length: 20 }, () => app.browser().get("/whoami")));
    await ask();
    expect(app.bridgeErrors).toHaveLength(1);
    clock.advance(59);
    await ask();
    expect(app.bridgeErrors).toHaveLength(1);
    clock.advance(1);
    await ask();
    expect(app.bridgeErrors).toHaveLength(2);
  });

  test("of messages that always differ, ten are told a minute", async () => {
    let asked = 0;
    const mode = () => Promise.reject(new Error(`failure ${(asked += 1)}`));
    const app = await start({ mode });
    const ask = () => Promise.all(Array.from({ length: 20 }, () => app.browser().get("/whoami")));
    await ask();
    expect([asked, app.bridgeErrors.length]).toEqual([20, 10]);
  });
});

test("nonsense is refused", () => {
  const call = () => openFeatureMode({} as never, { flag: "", context: 1, other: 1 } as never);
  expect(call).toThrow(TypeError);
  expect(call).toThrow(
    /^openFeatureMode: 4 invalid options\n {2}- client: must be.*\n {2}- other: unknown.*\n {2}- flag: must be.*\n {2}- context: must be a function, got 1$/,
  );
});

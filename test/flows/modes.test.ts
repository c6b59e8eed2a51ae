import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { Mode } from "../../src/index.js";
import { bearer, MapStore, type RunningApp, startBridgedApp, tokensOf } from "../support/app.js";
import { TestClock } from "../support/clock.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { cookieName, legacyKinds } from "../support/flow.js";
import { decodePayload } from "../support/signed-cookie.js";
import { login, pairIn, refresh, whoami } from "../support/tokens.js";

let database: TestDatabase;
const apps: RunningApp[] = [];

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.drop());
afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(apps.splice(0).map((app) => app.close()));
});

async function start(options?: Parameters<typeof startBridgedApp>[1]): Promise<RunningApp> {
  const app = await startBridgedApp(database.pool, options);
  apps.push(app);
  return app;
}

const hitsOf = (app: RunningApp) => Object.values(app.counts().legacyCookies)[0]!;

describe.each(legacyKinds)("session in a %s", (kind) => {
  const configOf = () => (kind === "store" ? { store: new MapStore() } : {});

  test("observe counts, upgrades nobody and offers nothing", async () => {
    const app = await start({ config: configOf(), mode: "observe" });
    const browser = app.browser();
    expect(tokensOf(await browser.get("/login")).accessToken).toBeUndefined();
    const response = await browser.get("/count");
    expect(response.body.session).toEqual({ userId: "user-1", count: 1 });
    expect(tokensOf(response).accessToken).toBeUndefined();
    const status = app.counts();
    expect(status).toMatchObject({ upgraded: 0, offered: 0 });
    expect(hitsOf(app).hit).toBe(1);
  });

  test("drain upgrades cookies, never renews them, and gives new sessions tokens alone", async () => {
    let mode: Mode = "observe";
    const clock = new TestClock();
    const config = { ...configOf(), rolling: true };
    const app = await start({ config, clock: clock.now, mode: () => mode });
    const browser = app.browser();
    await browser.get("/login");
    mode = "drain";
    if (kind === "cookie") {
      // A data cookie without an id gets one, and keeps its expiry.
      const before = decodePayload(browser.cookies.get(cookieName)!);
      await browser.get("/whoami");
      const after = decodePayload(browser.cookies.get(cookieName)!);
      expect(after).toEqual({ ...before, _bridge: expect.any(String) as string });
      clock.advance(5);
    }
    for (const path of ["/whoami", "/count", "/whoami"]) {
      const response = await browser.get(path);
      expect(response.status).toBe(200);
      expect(response.setCookie).toEqual([]);
      expect(tokensOf(response).accessToken).toBeDefined();
    }
    expect((await browser.get("/whoami")).body.session).toEqual({ userId: "user-1", count: 1 });

    const newcomer = app.browser();
    const response = await newcomer.get("/login?user=new");
    expect(response.setCookie).toEqual([]);
    expect((await whoami(app.url, pairIn(response))).body.session).toEqual({ userId: "new" });

    const leaving = await browser.get("/logout");
    expect(leaving.setCookie.length).toBeGreaterThan(0);
    expect(browser.cookies.size).toBe(0);
  });

  test("tokens refuses cookies, counts them as dropped and clears them", async () => {
    let mode: Mode = "bridge";
    const app = await start({ config: configOf(), mode: () => mode });
    const { browser, pair } = await login(app);
    const copy = browser.clone();
    mode = "tokens";
    const response = await browser.get("/whoami");
    expect(response.body).toEqual({ session: {}, isNew: true });
    expect(browser.cookies.size).toBe(0);
    expect(hitsOf(app).dropped).toBe(1);
    expect((await whoami(app.url, pair)).body.session).toEqual({ userId: "user-1" });
    expect(tokensOf(await browser.get("/login")).accessToken).toBeDefined();
    expect(browser.cookies.size).toBe(0);
    mode = "bridge";
    expect((await copy.get("/whoami")).body.session).toEqual({ userId: "user-1" });
  });

  test("flipping back and forth logs nobody out", async () => {
    let mode: Mode = "bridge";
    const app = await start({ config: configOf(), mode: () => mode });
    const { browser, pair } = await login(app);
    const byToken = () => app.browser().get("/count", bearer(pair.accessToken));
    let count = 0;
    for (const each of ["drain", "bridge", "observe", "bridge", "drain"] satisfies Mode[]) {
      mode = each;
      expect((await browser.get("/count")).body.session.count).toBe((count += 1));
      expect((await byToken()).body.session.count).toBe((count += 1));
    }
    expect((await refresh(app.url, pair.refreshToken)).status).toBe(200);
  });
});

describe("the flag", () => {
  test("is bridge where nobody says otherwise, else the environment variable", async () => {
    // Whoever serves no request is none of the fleet that a status tells of.
    const modeOf = async (options?: Parameters<typeof start>[0]) => {
      const app = await start(options);
      await app.browser().get("/untouched");
      return (await app.bridge.status()).mode;
    };
    vi.stubEnv("SESSION_BRIDGE_MODE", undefined);
    expect(await modeOf()).toBe("bridge");
    vi.stubEnv("SESSION_BRIDGE_MODE", "drain");
    expect(await modeOf()).toBe("drain");
    expect(await modeOf({ mode: "tokens" })).toBe("tokens");
    vi.stubEnv("SESSION_BRIDGE_MODE", "");
    expect(await modeOf()).toBe("bridge");
  });

  test("that is none of the modes is misuse", async () => {
    await expect(start({ mode: "of-nobody" as never })).rejects.toThrow(/^.*\n {2}- mode: must be/);
    vi.stubEnv("SESSION_BRIDGE_MODE", "of-nobody");
    await expect(start()).rejects.toThrow(/mode: the environment variable SESSION_BRIDGE_MODE/);
  });

  test("as a function is asked once a request, with the request", async () => {
    let asked = 0;
    const app = await start({
      mode: async (ctx) => {
        asked += 1;
        return ctx.get("X-Mode") as Mode;
      },
    });
    const browser = app.browser();
    const inMode = (mode: Mode, path = "/whoami") =>
      browser.get(path, { headers: { "x-mode": mode } });
    expect(tokensOf(await inMode("observe", "/login")).accessToken).toBeUndefined();
    expect(asked).toBe(1);
    expect(tokensOf(await inMode("bridge")).accessToken).toBeDefined();
    expect((await inMode("tokens")).body.isNew).toBe(true);
    expect(asked).toBe(3);
  });

  test("as a function that fails or gives nonsense stays what it was, and tells it", async () => {
    let answer: () => Mode = () => "observe";
    const app = await start({ mode: () => answer() });
    const browser = app.browser();
    await browser.get("/login");
    for (const failing of [
      () => {
        throw new Error("the flag service is away");
      },
      () => "nonsense" as Mode,
      () => undefined as unknown as Mode,
    ]) {
      answer = failing;
      const response = await browser.get("/whoami");
      expect(response.body.session).toEqual({ userId: "user-1" });
      expect(tokensOf(response).accessToken).toBeUndefined();
    }
    expect(app.bridgeErrors).toHaveLength(3);
    expect((await app.bridge.status()).mode).toBe("observe");
  });

  test("as a function that fails is the mildest of the modes it gave lately", async () => {
    const clock = new TestClock();
    let answer: (wanted: string) => Mode = (wanted) => wanted as Mode;
    const app = await start({ clock: clock.now, mode: (ctx) => answer(ctx.get("x-mode")) });
    const browser = app.browser();
    const inMode = (mode: string) => browser.get("/whoami", { headers: { "x-mode": mode } });
    await browser.get("/login", { headers: { "x-mode": "bridge" } });
    // Another visitor, for whom the flag stands elsewhere.
    await app.browser().get("/whoami", { headers: { "x-mode": "tokens" } });
    answer = () => {
      throw new Error("the flag service is away");
    };
    expect((await inMode("")).body.session).toEqual({ userId: "user-1" });
    answer = (wanted) => wanted as Mode;
    clock.advance(61);
    await app.browser().get("/whoami", { headers: { "x-mode": "tokens" } });
    answer = () => {
      throw new Error("the flag service is away");
    };
    expect((await inMode("")).body.isNew).toBe(true);
  });
});

describe("the linger", () => {
  test("after it the cookie of an adopted session is retired, and the session lives on", async () => {
    const clock = new TestClock();
    const app = await start({ cookieLingerInSeconds: 60, clock: clock.now });
    const { browser, pair } = await login(app);
    clock.advance(600);
    expect((await browser.get("/whoami")).body.session).toEqual({ userId: "user-1" });
    const { refreshToken } = pairIn(await browser.get("/whoami"));
    expect((await refresh(app.url, refreshToken)).status).toBe(200);
    clock.advance(59);
    expect((await browser.get("/whoami")).body.session).toEqual({ userId: "user-1" });
    clock.advance(1);
    const retired = browser.clone();
    expect((await retired.get("/whoami")).body).toEqual({ session: {}, isNew: true });
    expect(hitsOf(app).retired).toBe(1);
    expect((await whoami(app.url, pair)).status).toBe(200);
    expect(browser.cookies.has(cookieName)).toBe(true);
  });
});

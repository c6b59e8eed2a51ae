import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Mode, TokenPair } from "../../src/index.js";
import { bearer, MapStore, type RunningApp, startBridgedApp, tokensOf } from "../support/app.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { login, pairIn, pairInBody, sessionIdOf, whoami } from "../support/tokens.js";

let database: TestDatabase;
const apps: RunningApp[] = [];

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.drop());
afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
});

async function start(options?: Parameters<typeof startBridgedApp>[1]): Promise<RunningApp> {
  const app = await startBridgedApp(database.pool, options);
  apps.push(app);
  return app;
}

describe("the transport", () => {
  test('"headers" hands out the pair and exposes the headers to other origins', async () => {
    const app = await start({
      handlers: {
        "/exposing": (ctx) => {
          ctx.set("Access-Control-Expose-Headers", "X-Own");
          ctx.session.seen = true;
        },
      },
    });
    const response = await app.browser().get("/exposing");
    expect((await whoami(app.url, pairIn(response))).body.session).toEqual({ seen: true });
    expect(response.headers["access-control-expose-headers"]).toBe(
      "X-Own, Session-Access-Token, Session-Refresh-Token",
    );
  });

  test("takes header names of the user's own", async () => {
    const app = await start({
      transport: { accessTokenHeader: "X-Access", refreshTokenHeader: "X-Refresh" },
    });
    const response = await app.browser().get("/login");
    expect(tokensOf(response).accessToken).toBeUndefined();
    const accessToken = response.headers["x-access"] as string;
    const refreshToken = response.headers["x-refresh"] as string;
    expect((await whoami(app.url, { accessToken, refreshToken })).status).toBe(200);
    expect(response.headers["access-control-expose-headers"]).toBe("X-Access, X-Refresh");
  });

  test('"endpoint" only says that there is something to get', async () => {
    const app = await start({ transport: "endpoint" });
    const browser = app.browser();
    const response = await browser.get("/login");
    expect(response.headers["session-upgrade"]).toBe("bearer");
    expect(response.headers["access-control-expose-headers"]).toBe("Session-Upgrade");
    expect(response.headers["cache-control"]).toBe("no-store");
    expect(tokensOf(response).accessToken).toBeUndefined();
    const pair = pairInBody(await browser.post("/session/upgrade"));
    await whoami(app.url, pair);
    expect((await browser.get("/whoami")).headers["session-upgrade"]).toBeUndefined();
  });

  test('"endpoint" hands a session without a cookie its pair in headers', async () => {
    for (const mode of ["drain", "tokens"] satisfies Mode[]) {
      const app = await start({ transport: "endpoint", mode });
      const response = await app.browser().get("/login");
      expect((await whoami(app.url, pairIn(response))).body.session).toEqual({ userId: "user-1" });
    }
  });

  test("can be a function, which gets the pair", async () => {
    const given: TokenPair[] = [];
    const app = await start({
      transport: async (ctx, pair) => {
        given.push(pair);
        ctx.set("X-Session", pair.sessionId);
      },
    });
    const response = await app.browser().get("/login");
    expect(given).toHaveLength(1);
    const [pair] = given as [TokenPair];
    expect(response.headers["x-session"]).toBe(pair.sessionId);
    expect(sessionIdOf(pair.accessToken)).toBe(pair.sessionId);
    expect(pair.accessTokenExpiresAt).toBeInstanceOf(Date);
    expect(pair.refreshTokenExpiresAt.getTime()).toBeGreaterThan(
      pair.accessTokenExpiresAt.getTime(),
    );
    expect((await whoami(app.url, pair)).status).toBe(200);
  });

  test("that throws costs nobody the response, and is told", async () => {
    const app = await start({
      transport: () => {
        throw new Error("the transport's own error");
      },
    });
    const browser = app.browser();
    expect((await browser.get("/login")).status).toBe(200);
    expect((await browser.get("/whoami")).body.session).toEqual({ userId: "user-1" });
    expect(app.bridgeErrors.map(({ message }) => message)).toContain("the transport's own error");
  });

  test("is used again until the pair is adopted, with the same pair", async () => {
    const app = await start();
    const { browser, pair } = await login(app);
    expect(pairIn(await browser.get("/whoami"))).toEqual(pair);
    expect(pairIn(await browser.get("/count"))).toEqual(pair);
    await whoami(app.url, pair);
    expect(tokensOf(await browser.get("/whoami")).accessToken).toBeUndefined();
  });
});

describe("issueTokens", () => {
  const issuing = () => ({
    handlers: {
      "/login-in-body": async (ctx: any) => {
        ctx.session.userId = "user-1";
        ctx.body = await apps.at(-1)!.bridge.issueTokens(ctx);
      },
      "/issue": async (ctx: any) => {
        ctx.body = await apps.at(-1)!.bridge.issueTokens(ctx);
      },
      "/save-and-issue": async (ctx: any) => {
        ctx.session.userId = "user-1";
        await ctx.session.save();
        ctx.body = await apps.at(-1)!.bridge.issueTokens(ctx);
      },
    },
  });

  for (const mode of ["bridge", "drain", "tokens"] satisfies Mode[]) {
    for (const config of [{ store: new MapStore() }, {}]) {
      const kind = "store" in config ? "store" : "cookie";
      test(`in mode ${mode}, session in a ${kind}, answers a login in the body, once`, async () => {
        const app = await start({ ...issuing(), config, mode });
        for (const path of ["/login-in-body", "/save-and-issue"]) {
          const browser = app.browser();
          const response = await browser.get(path);
          expect(response.status).toBe(200);
          expect((await whoami(app.url, response.body)).body.session).toEqual({ userId: "user-1" });
          expect(tokensOf(response).accessToken).toBeUndefined();
          if (mode !== "bridge") expect(browser.cookies.size).toBe(0);
        }
      });
    }
  }

  test("makes the answer one for nobody's cache", async () => {
    for (const mode of ["bridge", "drain", "tokens"] satisfies Mode[]) {
      const app = await start({ ...issuing(), mode });
      const { headers } = await app.browser().get("/login-in-body");
      expect(headers["cache-control"]).toBe("no-store");
      expect(headers["vary"]).toBe("Authorization, Cookie");
    }
  });

  test("in observe issues none, and says so", async () => {
    const app = await start({ ...issuing(), mode: "observe" });
    expect((await app.browser().get("/login-in-body")).status).toBe(409);
    expect(app.errors).toMatchObject([{ code: "issuing-disabled" }]);
  });

  test("gives a stranger without a session none", async () => {
    for (const mode of ["bridge", "tokens"] satisfies Mode[]) {
      const app = await start({ ...issuing(), mode });
      const response = await app.browser().get("/issue");
      expect(response.status).toBe(401);
      expect(response.headers["www-authenticate"]).toBe("Bearer");
      expect(app.errors).toMatchObject([{ code: "no-session" }]);
    }
  });

  test("gives a session whose tokens are in use a further pair", async () => {
    const app = await start(issuing());
    const { browser, pair } = await login(app);
    await whoami(app.url, pair);
    const byCookie = (await browser.get("/issue")).body as TokenPair;
    const byToken = (await app.browser().get("/issue", bearer(pair.accessToken))).body as TokenPair;
    for (const further of [byCookie, byToken]) {
      expect(further.sessionId).toBe(sessionIdOf(pair.accessToken));
      expect(further.accessToken).not.toBe(pair.accessToken);
      expect((await whoami(app.url, further)).body.session).toEqual({ userId: "user-1" });
    }
    expect((await whoami(app.url, pair)).status).toBe(200);
  });

  test("is misuse where the bridge has not run", async () => {
    const app = await start();
    await expect(app.bridge.issueTokens({})).rejects.toThrow(TypeError);
  });
});

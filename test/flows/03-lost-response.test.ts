import { once } from "node:events";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { bearer, type RunningApp, startBridgedApp, tokensOf } from "../support/app.js";
import type { Browser } from "../support/client.js";
import { TestClock } from "../support/clock.js";
import { type Cluster, startWorkers } from "../support/cluster.js";
import { type Flow, legacyKinds, startFlow } from "../support/flow.js";

/** The next request with the same cookie: logged in, offered a working pair, one token session. */
async function expectNobodyLost(flow: Flow, browser: Browser): Promise<string> {
  const next = await browser.get("/whoami");
  expect(next.status).toBe(200);
  expect(next.body.session.userId).toBe("user-1");
  const { accessToken, refreshToken } = tokensOf(next);

  const byBearer = await browser.get("/whoami", bearer(accessToken));
  expect(byBearer.body.session.userId).toBe("user-1");
  const refreshed = await browser.post("/session/refresh", {
    body: { refresh_token: refreshToken },
  });
  expect(refreshed.status).toBe(200);
  expect(await flow.rows("sessionStore")).toHaveLength(1);
  expect(await flow.rows("sessionBridgeLink")).toHaveLength(1);
  return accessToken!;
}

describe.each(legacyKinds)("When the response to a %s session is lost", (kind) => {
  let flow: Flow;
  let app: RunningApp;
  const clock = new TestClock();
  // Set by a test; the handlers and the middleware above the bridge tell it how far they are.
  let onRequest: () => void;
  let onDone: () => void;
  let gone: Promise<unknown>;

  beforeEach(async () => {
    flow = await startFlow(kind);
    app = await startBridgedApp(flow.database.pool, {
      config: flow.config,
      clock: clock.now,
      above: async (_, next) => {
        await next().finally(() => onDone());
      },
      handlers: {
        "/fail": (ctx) => {
          void ctx.session.userId;
          throw new Error("the handler's own error");
        },
        "/slow": async (ctx) => {
          ctx.session.seen = "slowly";
          gone = once(ctx.res, "close");
          onRequest();
          await gone;
        },
      },
    });
    onRequest = onDone = () => undefined;
    return async () => {
      await app.close();
      await flow.close();
    };
  });

  it.each(["/fail", "/throw"])("as the handler of %s throws, nobody is lost", async (path) => {
    const browser = (await flow.login()).clone({ baseUrl: app.url });
    const cookies = new Map(browser.cookies);

    for (const _ of [1, 2]) {
      const failed = await browser.get(path);
      expect(failed.status).toBe(500);
      expect(failed.setCookie).toEqual([]);
      expect(tokensOf(failed).accessToken).toBeUndefined();
    }

    expect(app.errors.map(({ message }) => message)).toEqual(
      Array(2).fill("the handler's own error"),
    );
    expect(browser.cookies).toEqual(cookies);
    await expectNobodyLost(flow, browser);
  });

  it("as the client goes away before it, nobody is lost", async () => {
    const browser = (await flow.login()).clone({ baseUrl: app.url });
    const client = new AbortController();
    const arrived = new Promise<void>((resolve) => (onRequest = resolve));
    const done = new Promise<void>((resolve) => (onDone = resolve));

    const request = browser.get("/slow", { signal: client.signal });
    await arrived;
    client.abort();
    await expect(request).rejects.toThrow();
    await done;

    expect(await flow.rows("sessionStore")).toHaveLength(1);
    await expectNobodyLost(flow, browser);
    expect(app.bridgeErrors).toEqual([]);
  });

  it("again and again, the same pair is offered until it is used", async () => {
    const browser = (await flow.login()).clone({ baseUrl: app.url });
    // Copies, since a data cookie is written anew.
    const first = tokensOf(await browser.clone().get("/whoami"));
    for (const path of ["/whoami", "/count", "/whoami"]) {
      expect(tokensOf(await browser.clone().get(path))).toEqual(first);
    }

    await browser.get("/whoami", bearer(first.accessToken));

    const adopted = await browser.clone().get("/count");
    expect(adopted.body.session.userId).toBe("user-1");
    expect(tokensOf(adopted).accessToken).toBeUndefined();
  });

  it("for longer than an access token lives, the pair that is offered works", async () => {
    const browser = (await flow.login()).clone({ baseUrl: app.url });
    const first = tokensOf(await browser.clone().get("/whoami"));

    clock.advance(3600);

    const refused = await browser.get("/whoami", bearer(first.accessToken));
    expect(refused.status).toBe(401);
    const accessToken = await expectNobodyLost(flow, browser);
    expect(accessToken).not.toBe(first.accessToken);
    expect(await flow.rows("sessionStoreToken")).toHaveLength(4);
  });
});

describe.each(legacyKinds)("When the process of a %s session is killed", (kind) => {
  let flow: Flow;
  let cluster: Cluster;
  beforeAll(async () => {
    flow = await startFlow(kind);
    cluster = await startWorkers(2, new URL("../support/worker-app.ts", import.meta.url), {
      DATABASE_URL: flow.database.url,
      LEGACY: kind,
    });
  });
  afterAll(async () => {
    await cluster.close();
    await flow.close();
  });

  it("between upgrade and response, nobody is lost", async () => {
    const browser = await flow.login();
    const on = (index: number) => browser.clone({ baseUrl: cluster.baseUrls[index]! });
    const request = on(0).get("/count", { headers: { "x-hold": "1" } });
    const lost = expect(request).rejects.toThrow();

    await vi.waitUntil(() => cluster.output().includes("held"), { timeout: 20_000, interval: 5 });
    expect(await flow.rows("sessionBridgeLink")).toHaveLength(1);
    await cluster.kill(0, "SIGKILL");
    await lost;

    await expectNobodyLost(flow, on(1));
    await cluster.restart(0);
    expect((await on(0).get("/whoami")).body.session).toEqual({ userId: "user-1", count: 1 });
  });
});

import { afterEach, describe, expect, it, vi } from "vitest";
import { bearer, startBridgedApp, startPlainApp, tokensOf } from "../support/app.js";
import type { Browser, BrowserResponse } from "../support/client.js";
import { TestClock } from "../support/clock.js";
import { cookieName, legacyKinds, startFlow, withCluster } from "../support/flow.js";

const requests = 4 * 50;
const rounds = 20;

describe.each(legacyKinds)("A %s session that four processes see for the first time", (kind) => {
  const running = withCluster(kind);

  it(
    `becomes one token session with one link and one pair, ${rounds} times`,
    { timeout: 180_000 },
    async () => {
      const { flow, cluster, on } = running;
      for (let round = 0; round < rounds; round += 1) {
        const before = await flow.rows("sessionStore");
        const browser = await flow.login(`user-${round}`);
        // Readers alone, writers alone, both at once.
        const writes = (index: number) => [false, true, index % 2 === 0][round % 3];
        const pathOf = (index: number) => (writes(index) ? `/set?key${index}=${index}` : "/whoami");

        const responses = await Promise.all(
          Array.from({ length: requests }, (_, index) => on(browser, index).get(pathOf(index))),
        );

        expect(responses.filter(({ status }) => status !== 200)).toEqual([]);
        const users = new Set(responses.map(({ body }) => body.session.userId as unknown));
        expect([...users]).toEqual([`user-${round}`]);
        const pairs = new Set(responses.map((response) => JSON.stringify(tokensOf(response))));
        expect(pairs.size).toBe(1);
        const { accessToken, refreshToken } = tokensOf(responses[0]!);
        expect(accessToken).toBeTypeOf("string");
        expect(refreshToken).toBeTypeOf("string");

        const known = new Set(before.map(({ id }) => id as string));
        const sessions = (await flow.rows("sessionStore")).filter(({ id }) => !known.has(id));
        expect(sessions).toHaveLength(1);
        const of = (row: { session: string }) => row.session === sessions[0].id;
        expect((await flow.rows("sessionBridgeLink")).filter(of)).toHaveLength(1);
        expect((await flow.rows("sessionStoreToken")).filter(of)).toHaveLength(2);
        expect(await flow.rows("sessionBridgeLink")).toHaveLength(round + 1);

        // Nothing that was written while the session was being upgraded is lost.
        const written = Array.from({ length: requests }, (_, index) => pathOf(index))
          .filter((path) => path !== "/whoami")
          .map((path) => new URLSearchParams(path.slice("/set?".length)))
          .flatMap((query) => [...query]);
        expect(sessions[0].data).toEqual({
          userId: `user-${round}`,
          ...Object.fromEntries(written),
        });
      }
      expect(cluster.output()).toBe("");
    },
  );
});

describe.each(legacyKinds)("A login at the bridge with a %s session", (kind) => {
  it("makes one token session, however often the handler saves it", async () => {
    const flow = await startFlow(kind);
    const app = await startBridgedApp(flow.database.pool, {
      config: flow.config,
      handlers: {
        "/login-and-save": async (ctx) => {
          ctx.session = { userId: "user-1" };
          await ctx.session.manuallyCommit();
          ctx.session.step = 2;
          await ctx.session.manuallyCommit();
          ctx.session.step = 3;
        },
      },
    });
    const browser = app.browser();

    const { body } = await browser.get("/login-and-save");
    const next = await browser.get("/whoami");

    expect(body.session).toEqual({ userId: "user-1", step: 3 });
    expect(next.body.session).toEqual({ userId: "user-1", step: 3 });
    expect(await flow.rows("sessionStore")).toHaveLength(1);
    expect(await flow.rows("sessionBridgeLink")).toHaveLength(1);
    await app.close();
    await flow.close();
  });
});

describe("A data cookie that has no id yet", () => {
  const running = withCluster("cookie");

  it(
    "gets one session, link and pair, though four processes give it ids at once",
    { timeout: 180_000 },
    async () => {
      const { flow, on } = running;
      const clock = new TestClock();
      const app = await startBridgedApp(flow.database.pool, { config: {}, clock: clock.now });
      for (let round = 1; round <= rounds; round += 1) {
        const browser = await flow.loginBefore(`user-${round}`);
        const seen = await Promise.all(
          Array.from({ length: requests }, (_, index) => on(browser, index).get("/whoami")),
        );
        expect(seen.filter(({ status }) => status !== 200)).toEqual([]);
        expect(seen.filter((response) => tokensOf(response).accessToken !== undefined)).toEqual([]);

        // The browser keeps one of the cookies; a tab may still come with the old one.
        const kept = keeping(browser.clone({ baseUrl: app.url }), seen);
        clock.advance(10);
        const later = await Promise.all(
          Array.from({ length: 20 }, () => kept.clone().get("/whoami")),
        );

        const pairs = new Set(later.map((response) => tokensOf(response).refreshToken));
        expect([...pairs]).toEqual([expect.any(String)]);
        expect(await flow.rows("sessionStore")).toHaveLength(round);
        expect(await flow.rows("sessionBridgeLink")).toHaveLength(round);
        expect(await flow.rows("sessionStoreToken")).toHaveLength(2 * round);
      }
      await app.close();
    },
  );
});

/** A browser that has got all these responses, in their order. */
function keeping(browser: Browser, responses: BrowserResponse[]): Browser {
  for (const line of responses.flatMap(({ setCookie }) => setCookie)) {
    const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
    browser.cookies.set(name, value);
  }
  return browser;
}

describe("Two visitors whose data cookies are alike to the letter", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  // Without an expiry, or in the same millisecond, the same data makes the same cookie.
  it.each([{ maxAge: "session" }, {}])("do not share a session (%j)", async (config) => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const flow = await startFlow("cookie");
    const plain = await startPlainApp({ ...config });
    const app = await startBridgedApp(flow.database.pool, { config });
    const [mine, theirs] = [plain.browser(), plain.browser()];
    for (const browser of [mine, theirs]) await browser.get("/set?language=en");
    expect(mine.cookies.get(cookieName)).toBe(theirs.cookies.get(cookieName));
    const on = (browser: typeof mine) => browser.clone({ baseUrl: app.url });

    const [me, them] = [on(mine), on(theirs)];
    await Promise.all([me.get("/whoami"), them.get("/whoami")]);
    vi.setSystemTime(Date.now() + 10_000);
    await me.get("/set?userId=user-1");
    const later = await them.get("/whoami");

    expect(later.body.session).toEqual({ language: "en" });
    expect((await them.get("/whoami", bearer(tokensOf(later).accessToken))).body.session).toEqual({
      language: "en",
    });
    expect((await on(theirs).get("/whoami")).body.session).toEqual({ language: "en" });
    await app.close();
    await plain.close();
    await flow.close();
  });
});

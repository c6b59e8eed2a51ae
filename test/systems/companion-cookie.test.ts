import { beforeEach, describe, expect, it } from "vitest";
import { bearer, type RunningApp, tokensOf } from "../support/app.js";
import type { Browser } from "../support/client.js";
import { TestClock } from "../support/clock.js";
import { cookieSessionSystem } from "../support/systems/cookie-session.js";
import { flowsOfTest, type SystemFlow } from "../support/systems/system-flow.js";
import { pairIn, whoami } from "../support/tokens.js";

const start = flowsOfTest();
const companion = "session.bridge";
const page = { headers: { "sec-fetch-dest": "document", "sec-fetch-mode": "navigate" } };
const script = { headers: { "sec-fetch-dest": "empty", "sec-fetch-mode": "cors" } };

let flow: SystemFlow;
let clock: TestClock;
let app: RunningApp;
beforeEach(async () => {
  flow = await start(cookieSessionSystem);
  clock = new TestClock();
  app = await flow.bridged({
    clock: clock.now,
    handlers: {
      ...flow.application.bridged.handlers,
      "/slow": (ctx) => {
        clock.advance(1);
        ctx.body = { session: ctx.session as unknown };
      },
    },
  });
});

const visitor = async (user?: string) => (await flow.loginBefore(user)).clone({ baseUrl: app.url });

/** A browser whose session has been upgraded, with its tokens. */
async function upgraded(user?: string) {
  const browser = await visitor(user);
  await browser.get("/whoami", page);
  clock.advance(5);
  return { browser, pair: pairIn(await browser.get("/whoami", script)) };
}

describe("A cookie of cookie-session without a companion", () => {
  it("gets one when a page is loaded, and a session when it has been back 5 s later", async () => {
    const browser = await visitor();

    const loaded = await browser.get("/whoami", page);
    expect(loaded.setCookie.map((line) => line.split("=")[0])).toEqual([companion]);
    expect(loaded.setCookie[0]).toMatch(/; httponly/i);
    clock.advance(4.9);
    expect(tokensOf(await browser.get("/whoami", script)).accessToken).toBeUndefined();
    expect(await flow.tableRows("sessionBridgeLink")).toEqual([]);
    clock.advance(0.1);
    const later = await browser.get("/whoami", script);

    expect((await whoami(app.url, pairIn(later))).body.session).toEqual({ userId: "user-1" });
    expect(later.setCookie).toEqual([]);
    expect(await flow.tableRows("sessionBridgeLink")).toHaveLength(1);
  });

  it.each([
    ["a script's request", "/whoami", script],
    ["a slow response", "/slow", page],
  ])("gets none with %s", async (_, path, request) => {
    const browser = await visitor();
    const { setCookie, body } = await browser.get(path, request);
    expect(body.session).toEqual({ userId: "user-1" });
    expect(setCookie).toEqual([]);
  });

  it("gets none in observe", async () => {
    const observing = await flow.bridged({ mode: "observe" });
    const browser = (await flow.loginBefore()).clone({ baseUrl: observing.url });
    expect((await browser.get("/whoami", page)).setCookie).toEqual([]);
  });
});

describe("Two browsers whose cookies of cookie-session are alike to the letter", () => {
  it("have each a session of its own", async () => {
    const [mine, theirs] = [await visitor(), await visitor()];
    expect(mine.cookies).toEqual(theirs.cookies);
    for (const browser of [mine, theirs]) await browser.get("/whoami", page);
    expect(mine.cookies.get(companion)).not.toBe(theirs.cookies.get(companion));
    clock.advance(5);

    await mine.get("/set?of=me", script);

    expect((await theirs.get("/whoami", script)).body.session).toEqual({ userId: "user-1" });
    const data = (await flow.tableRows("sessionStore")).map((row) => row.data as object);
    expect(data).toContainEqual({ userId: "user-1", of: "me" });
    expect(data).toContainEqual({ userId: "user-1" });
    expect(data).toHaveLength(2);
  });

  it("do not log each other out once they are upgraded", async () => {
    const mine = await upgraded();
    const theirs = await upgraded();

    await mine.browser.get("/logout", script);

    expect((await theirs.browser.get("/whoami")).body.session).toEqual({ userId: "user-1" });
    expect((await whoami(app.url, theirs.pair)).status).toBe(200);
    expect((await whoami(app.url, mine.pair)).status).toBe(401);
  });
});

describe("A companion cookie", () => {
  const carryOver = (from: Browser, to: Browser) => {
    to.cookies.set(companion, from.cookies.get(companion)!);
  };

  it("of another browser opens nothing of the other's with one's own data", async () => {
    const victim = await upgraded("victim");
    await victim.browser.get("/set?secret=1", script);
    const attacker = await visitor("attacker");
    carryOver(victim.browser, attacker);

    for (const request of [script, page, script]) {
      const { body } = await attacker.get("/whoami", request);
      expect(body.session).toEqual({ userId: "attacker" });
      clock.advance(5);
    }
    await attacker.get("/set?hello=victim", script);
    expect((await whoami(app.url, victim.pair)).body.session).toEqual({
      userId: "victim",
      secret: "1",
    });
  });

  it("planted on another browser does not tie its session to the planter's tokens", async () => {
    const attacker = await upgraded("attacker");
    const victim = await visitor("victim");
    carryOver(attacker.browser, victim);

    await victim.get("/set?secret=1", script);
    clock.advance(5);
    await victim.get("/set?secret=2", script);

    const { body } = await app.browser().get("/whoami", bearer(attacker.pair.accessToken));
    expect(body.session).toEqual({ userId: "attacker" });
  });

  it.each([
    ["made up", (value: string) => `a.b.c${value.slice(value.indexOf("~"))}`],
    ["without its signature", (value: string) => value.slice(0, value.indexOf("~"))],
    ["with another's signature", (value: string) => `${value.slice(0, -2)}AA`],
  ])("%s is as good as none", async (_, forge) => {
    const { browser } = await upgraded();
    const value = browser.cookies.get(companion)!;
    browser.cookies.set(companion, forge(value));

    const response = await browser.get("/whoami", page);

    expect(tokensOf(response).accessToken).toBeUndefined();
    expect(response.setCookie.map((line) => line.split("=")[0])).toEqual([companion]);
    expect(await flow.tableRows("sessionBridgeLink")).toHaveLength(1);
  });
});

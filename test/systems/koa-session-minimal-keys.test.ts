import { describe, expect, it } from "vitest";
import type { Mode } from "../../src/index.js";
import { bearer, cookieKeys, tokensOf } from "../support/app.js";
import { koaSessionMinimalSystem } from "../support/systems/koa-session-minimal.js";
import { cookiesOf } from "../support/systems/several-sources.js";
import { flowsOfTest } from "../support/systems/system-flow.js";
import { pairIn, whoami } from "../support/tokens.js";

const start = flowsOfTest();
const user = { userId: "user-1" };

describe("koa-session-minimal in an application with app.keys", () => {
  const startWithKeys = () => start(koaSessionMinimalSystem, { keys: cookieKeys });

  it.each<Mode>(["bridge", "drain"])(
    "has its sessions upgraded, and cleared at a logout by token, in %s",
    async (mode) => {
      const flow = await startWithKeys();
      const app = await flow.bridged({ mode });
      const { browser, pair } = await flow.upgraded(app);
      expect((await whoami(app.url, pair)).body.session).toEqual(user);
      expect((await browser.get("/count")).body.session).toEqual({ ...user, count: 1 });

      const response = await browser.get("/logout", bearer(pair.accessToken));

      expect(cookiesOf(response)).toEqual({ set: [], cleared: ["koa:sess"] });
      expect([...browser.cookies.keys()]).toEqual([]);
      expect(await flow.application.rows()).toEqual([]);
      expect((await whoami(app.url, pair)).status).toBe(401);
      expect([...app.errors, ...app.bridgeErrors]).toEqual([]);
    },
  );

  it("has its sessions read in observe, and upgraded afterwards", async () => {
    const flow = await startWithKeys();
    const observing = await flow.bridged({ mode: "observe" });
    const before = await flow.loginBefore();
    const seen = await before.clone({ baseUrl: observing.url }).get("/count");
    expect(seen.body.session).toEqual({ ...user, count: 1 });
    expect(cookiesOf(seen).set).toEqual(["koa:sess"]);

    const app = await flow.bridged();
    const pair = pairIn(await before.clone({ baseUrl: app.url }).get("/whoami"));
    expect((await whoami(app.url, pair)).body.session).toEqual({ ...user, count: 1 });
  });
});

describe("sessionHandler.regenerateId by bearer", () => {
  it("moves nothing when the handler fails: the token is still good", async () => {
    const flow = await start(koaSessionMinimalSystem);
    const app = await flow.bridged({
      handlers: {
        ...flow.application.bridged.handlers,
        "/fail": (ctx) => {
          ctx["sessionHandler"].regenerateId();
          ctx.session.half = "done";
          throw new Error("the handler's own error");
        },
      },
    });
    const { browser, pair } = await flow.upgraded(app);

    const response = await app.browser().get("/fail", bearer(pair.accessToken));

    expect(response.status).toBe(500);
    expect(tokensOf(response).accessToken).toBeUndefined();
    expect((await whoami(app.url, pair)).body.session).toMatchObject(user);
    expect((await browser.get("/whoami")).body.session).toMatchObject(user);
    expect(await flow.loggedIn()).toBe(1);
  });
});

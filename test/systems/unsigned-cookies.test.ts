import { describe, expect, it } from "vitest";
import { tokensOf } from "../support/app.js";
import { cookieSessionSystem } from "../support/systems/cookie-session.js";
import { named } from "../support/systems/index.js";
import { koaSessionSystem } from "../support/systems/koa-session.js";
import { flowsOfTest } from "../support/systems/system-flow.js";
import { whoami } from "../support/tokens.js";

const start = flowsOfTest();
const dataCookies = named([
  koaSessionSystem("5", { hasStore: false }),
  koaSessionSystem("6", { hasStore: false }),
  koaSessionSystem("7", { hasStore: false }),
  cookieSessionSystem,
]);
const unsigned = { options: { signed: false } };

describe.each(dataCookies)("An unsigned cookie with the data of %s", (_, system) => {
  it("never becomes a token session", async () => {
    const flow = await start(system, unsigned);
    const app = await flow.bridged();
    const browser = (await flow.login()).clone({ baseUrl: app.url });

    for (const path of ["/whoami", "/set?role=admin", "/count", "/whoami"]) {
      const response = await browser.get(path);
      expect(response.status).toBe(200);
      // Where nothing can be written to the cookie, a new session has tokens; not with what was forged.
      if (tokensOf(response).accessToken !== undefined) {
        expect(system.isReadOnly).toBe(true);
        expect(response.body.session).not.toHaveProperty("userId");
      }
    }

    expect((await browser.post("/session/upgrade")).status).toBeGreaterThanOrEqual(400);
    expect(await flow.loggedIn()).toBe(0);
    expect(await flow.tableRows("sessionBridgeLink")).toEqual([]);
  });

  it("becomes one when that is allowed", async () => {
    const flow = await start(system, unsigned);
    const app = await flow.bridged({ allowUnsigned: true });
    const { browser, pair } = await flow.upgraded(app);

    expect((await whoami(app.url, pair)).body.session).toEqual({ userId: "user-1" });
    expect((await browser.get("/count")).body.session).toEqual({ userId: "user-1", count: 1 });
    expect(await flow.tableRows("sessionStore")).toHaveLength(1);
    expect(await flow.tableRows("sessionBridgeLink")).toHaveLength(1);
  });
});

it("An unsigned cookie of cookie-session shows its data to nobody", async () => {
  const flow = await start(cookieSessionSystem, unsigned);
  const app = await flow.bridged();
  const browser = (await flow.loginBefore()).clone({ baseUrl: app.url });

  expect((await browser.get("/whoami")).body.session).toEqual({});
});

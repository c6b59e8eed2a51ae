import { describe, expect, it } from "vitest";
import { type Handler, type RunningApp, tokensOf } from "../support/app.js";
import { cookieSessionSystem } from "../support/systems/cookie-session.js";
import { expressSessionSystem } from "../support/systems/express-session.js";
import { named } from "../support/systems/index.js";
import { flowsOfTest, type SystemFlow } from "../support/systems/system-flow.js";
import { whoami } from "../support/tokens.js";

const start = flowsOfTest();
const page = { headers: { "sec-fetch-dest": "document", "sec-fetch-mode": "navigate" } };
const script = { headers: { "sec-fetch-dest": "empty", "sec-fetch-mode": "cors" } };
const user = { userId: "user-1" };

const withHandlers = (flow: SystemFlow, handlers: Record<string, Handler>) => ({
  handlers: { ...flow.application.bridged.handlers, ...handlers },
});

describe.each(named([expressSessionSystem, cookieSessionSystem]))(
  "A session of %s",
  (_, system) => {
    it("opens nothing after a logout by a handler that could not regenerate it", async () => {
      const flow = await start(system);
      const app = await flow.bridged(
        withHandlers(flow, {
          "/out": async (ctx) => {
            const failed: unknown = await ctx.session.regenerate().catch((error: unknown) => error);
            ctx.session = null;
            ctx.body = { failed: failed instanceof Error };
          },
        }),
      );
      const { browser, pair } = await flow.upgraded(app);
      const copy = browser.clone();
      await flow.database.pool.query(
        `create function "refuse"() returns trigger language plpgsql
      as $$ begin raise exception 'no space left'; end $$;
      create trigger "full" before insert on "sessionStore" execute function "refuse"()`,
      );

      expect((await browser.get("/out", script)).body).toEqual({ failed: true });

      await flow.database.pool.query(`drop trigger "full" on "sessionStore"`);
      expect((await copy.get("/whoami")).body.session).toEqual({});
      expect((await whoami(app.url, pair)).status).toBe(401);
      expect(await flow.application.rows()).toEqual([]);
    });

    it.each([
      ["seen for the first time", false],
      ["upgraded", true],
    ])("goes on when the handler throws after regenerate(), %s", async (_, isUpgraded) => {
      const flow = await start(system);
      const app = await flow.bridged(
        withHandlers(flow, {
          "/form": async (ctx) => {
            await ctx.session.regenerate();
            ctx.session.userId = "new";
            throw new Error("the handler's own error");
          },
        }),
      );
      for (const request of [script, page]) {
        const browser = (await flow.login()).clone({ baseUrl: app.url });
        if (isUpgraded) await browser.get("/whoami");
        const before = await flow.loggedIn();

        const response = await browser.post("/form", request);

        expect(response).toMatchObject({ status: 500, setCookie: [] });
        expect(tokensOf(response).accessToken).toBeUndefined();
        expect(await flow.loggedIn()).toBe(before);
        expect((await browser.get("/whoami")).body.session).toEqual(user);
      }
    });
  },
);

describe("bridge.issueTokens(ctx) on express-session in observe", () => {
  const anew: Handler = async (ctx) => {
    ctx.session = {};
    await ctx.session.regenerate();
    ctx.session.userId = "new";
  };
  const inPlace: Handler = (ctx) => void (ctx.session.userId = "new");

  async function issuing(logIn: Handler) {
    const flow = await start(expressSessionSystem);
    const handlers = withHandlers(flow, {
      "/sign-in": async (ctx) => {
        await logIn(ctx);
        await app.bridge.issueTokens(ctx).then(
          (pair) => (ctx.body = pair),
          ({ code }: { code: unknown }) => (ctx.body = { code }),
        );
      },
    });
    const app: RunningApp = await flow.bridged({ mode: "observe", ...handlers });
    return { flow, app };
  }

  it.each([
    ["a script", script],
    ["a page load", page],
  ])("gives a working pair for a regenerated session, to %s", async (_, request) => {
    const { flow, app } = await issuing(anew);
    const before = (await flow.loginBefore()).clone({ baseUrl: app.url });
    for (const browser of [before, app.browser()]) {
      const { body } = await browser.post("/sign-in", request);
      expect((await whoami(app.url, body)).body.session).toEqual({ userId: "new" });
    }
  });

  it("is refused for a session that has a cookie, which lives on", async () => {
    const { flow, app } = await issuing(inPlace);
    const browser = (await flow.loginBefore()).clone({ baseUrl: app.url });
    expect((await browser.post("/sign-in", script)).body).toEqual({ code: "issuing-disabled" });
    expect((await browser.get("/whoami")).body.session).toEqual({ userId: "new" });
    expect(await flow.loggedIn()).toBe(0);
  });
});

import { describe, expect, it } from "vitest";
import type { Mode } from "../../src/index.js";
import { type Handler, type RunningApp, tokensOf } from "../support/app.js";
import { cookieSessionSystem } from "../support/systems/cookie-session.js";
import { expressSessionSystem } from "../support/systems/express-session.js";
import { named } from "../support/systems/index.js";
import { flowsOfTest, type SystemFlow } from "../support/systems/system-flow.js";
import { pairIn, whoami } from "../support/tokens.js";

const start = flowsOfTest();
const systems = named([expressSessionSystem, cookieSessionSystem]);
const page = { headers: { "sec-fetch-dest": "document", "sec-fetch-mode": "navigate" } };
const script = { headers: { "sec-fetch-dest": "empty", "sec-fetch-mode": "cors" } };
const crossSite = { headers: { ...script.headers, "sec-fetch-site": "cross-site" } };

const withHandlers = (flow: SystemFlow, handlers: Record<string, Handler>) => ({
  handlers: { ...flow.application.bridged.handlers, ...handlers },
});

/** An attacker's anonymous session, whose cookies a victim's browser has as well. */
async function planted(flow: SystemFlow, app: RunningApp) {
  const before = flow.plain.browser();
  await before.get("/set?cart=1");
  const attacker = (await flow.identified(before)).clone({ baseUrl: app.url });
  return { attacker, victim: attacker.clone() };
}

describe.each(systems)("A login that regenerates a session of %s", (_, system) => {
  const logIn: Handler = async (ctx) => {
    await ctx.session.regenerate();
    ctx.session.userId = "victim";
    ctx.body = {};
  };

  it.each([true, false])(
    "while a page is loaded leaves nothing to whoever planted the cookie, upgraded: %s",
    async (isUpgraded) => {
      const flow = await start(system);
      const app = await flow.bridged(withHandlers(flow, { "/form": logIn }));
      const { attacker, victim } = await planted(flow, app);
      const pair = isUpgraded ? pairIn(await attacker.get("/whoami")) : undefined;

      expect((await victim.post("/form", page)).status).toBe(200);

      const { body, ...response } = await attacker.get("/whoami");
      expect(body.session).toEqual({});
      expect(tokensOf(response).accessToken).toBeUndefined();
      if (pair !== undefined) expect((await whoami(app.url, pair)).status).toBe(401);
      expect(await flow.application.rows()).toEqual([]);
      expect(await flow.loggedIn()).toBe(0);
    },
  );

  it("and issues tokens itself, while a page is loaded, has the data move to them", async () => {
    const flow = await start(system);
    const app: RunningApp = await flow.bridged(
      withHandlers(flow, {
        "/form": async (ctx) => {
          await logIn(ctx);
          ctx.body = await app.bridge.issueTokens(ctx);
        },
      }),
    );
    const { attacker, victim } = await planted(flow, app);
    const pair = pairIn(await attacker.get("/whoami"));

    const { body } = await victim.post("/form", page);

    const victims = { cart: "1", userId: "victim" };
    expect((await whoami(app.url, body)).body.session).toEqual(victims);
    expect((await whoami(app.url, pair)).status).toBe(401);
    expect((await attacker.get("/whoami")).body.session).toEqual({});
  });
});

describe.each(systems)("A session of %s", (_, system) => {
  it("is still there by cookie and token when it could not be regenerated", async () => {
    const flow = await start(system);
    const app = await flow.bridged();
    const { browser, pair } = await flow.upgraded(app);
    const { pool } = flow.database;
    await pool.query(
      `create function "refuse"() returns trigger language plpgsql
      as $$ begin raise exception 'no space left'; end $$;
      create trigger "full" before insert on "sessionStore" execute function "refuse"()`,
    );

    const { status } = await browser.clone().get("/regenerate", script);

    await pool.query(`drop trigger "full" on "sessionStore"`);
    expect(status).toBe(503);
    expect((await browser.get("/whoami")).body.session).toEqual({ userId: "user-1" });
    expect((await whoami(app.url, pair)).body.session).toEqual({ userId: "user-1" });
  });

  it("that another site's request regenerates does not give its tokens to that site", async () => {
    const flow = await start(system);
    const app = await flow.bridged();
    const browser = (await flow.login()).clone({ baseUrl: app.url });
    for (const path of ["/whoami", "/regenerate"]) {
      const response = await browser.get(path, crossSite);
      expect(response.status).toBe(200);
      expect(tokensOf(response)).toEqual({ accessToken: undefined, refreshToken: undefined });
    }
  });

  it("ends without an error when the handler has begun to answer", async () => {
    const flow = await start(system);
    const app = await flow.bridged(
      withHandlers(flow, {
        "/stream": (ctx) => {
          ctx.respond = false;
          ctx.res.writeHead(200);
          ctx.res.write("begun, ");
          ctx.session = null;
          ctx.res.end("done");
        },
      }),
    );
    const browser = (await flow.login()).clone({ baseUrl: app.url });

    expect((await browser.get("/stream")).body).toBe("begun, done");

    await expect.poll(async () => (await browser.get("/whoami")).body.session).toEqual({});
    expect([...app.errors, ...app.bridgeErrors]).toEqual([]);
  });
});

it.each<Mode>(["drain", "tokens"])(
  "A login from another site without any cookie gets its tokens in %s",
  async (mode) => {
    const flow = await start(expressSessionSystem);
    const app = await flow.bridged({ mode });
    const pair = pairIn(await app.browser().get("/login?user=new", crossSite));
    expect((await whoami(app.url, pair)).body.session).toEqual({ userId: "new" });
  },
);

describe("express-session's option cookie, as a function,", () => {
  it("says which cookie a logout clears", async () => {
    const place = { path: "/app" };
    const cookie = () => ({ ...place, domain: "127.0.0.1", maxAge: 86_400_000 });
    const flow = await start(expressSessionSystem, { cookie: place, options: { cookie } });
    const app = await flow.bridged();
    const { browser, pair } = await flow.upgraded(app);

    const { setCookie } = await browser.get("/app/logout");

    expect(setCookie).toHaveLength(1);
    expect(setCookie[0]).toMatch(/^connect\.sid=; path=\/app; .*domain=127\.0\.0\.1/i);
    expect([...browser.cookies.keys()]).toEqual([]);
    expect((await whoami(app.url, pair)).status).toBe(401);
  });
});

describe("express-session's", () => {
  it.each([
    ["cookie may be named by key", { key: "old.sid" }],
    ["cookie is named by name when key is there as well", { name: "new.sid", key: "old.sid" }],
    ["secret may be bytes", { secret: Buffer.from("a secret of bytes") }],
    ["secrets may be bytes and text", { secret: [Buffer.from("a secret of bytes"), "text"] }],
  ])("%s", async (_, options) => {
    const flow = await start(expressSessionSystem, { options });
    const app = await flow.bridged();
    const { browser } = await flow.upgraded(app);
    expect((await browser.get("/whoami")).body.session).toEqual({ userId: "user-1" });
  });
});

describe("The companion of a cookie of cookie-session", () => {
  // The moment that a lifetime leads to is not the same in two responses.
  const attributesOf = (line: string | undefined, isMeasured: boolean) =>
    line
      ?.split("; ")
      .slice(1)
      .map((attribute) => (isMeasured ? attribute.replace(/^(expires)=.*/i, "$1") : attribute))
      .map((attribute) => attribute.toLowerCase())
      .sort();

  const configured: Record<string, object> = {
    "of the configuration's defaults": {},
    "of sameSite, and until when it lasts": {
      sameSite: "strict",
      expires: new Date(Date.now() + 86_400_000),
    },
    "of a lifetime": { maxAge: 3_600_000, sameSite: "lax" },
    "of partitions and a priority": { partitioned: true, priority: "high" },
  };
  it.each(Object.entries(configured))("has the attributes %s", async (_, options) => {
    const flow = await start(cookieSessionSystem, { options });
    const app = await flow.bridged();
    const before = flow.plain.browser();
    const { setCookie: own } = await before.get("/login");

    const { setCookie } = await before.clone({ baseUrl: app.url }).get("/whoami", page);

    expect(setCookie.map((line) => line.split("=")[0])).toEqual(["session.bridge"]);
    const isMeasured = "maxAge" in options;
    const attributes = attributesOf(own[0], isMeasured);
    expect(attributesOf(setCookie[0], isMeasured)).toEqual(attributes);
    expect(attributes?.length).toBeGreaterThan(Object.keys(options).length);
  });
});

import { describe, expect, it } from "vitest";
import { bearer, type Handler } from "../support/app.js";
import { cookieSessionSystem } from "../support/systems/cookie-session.js";
import { expressSessionSystem } from "../support/systems/express-session.js";
import { named } from "../support/systems/index.js";
import { koaGenericSessionSystem } from "../support/systems/koa-generic-session.js";
import { koaSessionMinimalSystem } from "../support/systems/koa-session-minimal.js";
import type { OldSystem } from "../support/systems/old-system.js";
import { flowsOfTest, type SystemFlow } from "../support/systems/system-flow.js";
import { pairIn } from "../support/tokens.js";

const start = flowsOfTest();

/** A visitor whose session the application without the bridge has filled. */
async function visitorWith(flow: SystemFlow, members: Record<string, string>) {
  const before = flow.plain.browser();
  await before.get(`/set?${new URLSearchParams(members).toString()}`);
  return flow.identified(before);
}

const dataOfSessions = async (flow: SystemFlow) =>
  (await flow.tableRows("sessionStore")).map(({ data }) => data as object);

describe("Data with the names of members of ctx.session", () => {
  const ofAny = { userId: "1", maxAge: "7", populated: "p", externalKey: "e" };
  // cookie-session itself takes no data of the other names.
  const systems: [name: string, system: OldSystem, members: Record<string, string>][] = [
    ["express-session", expressSessionSystem, { ...ofAny, isNew: "yes", length: "5" }],
    ["cookie-session", cookieSessionSystem, ofAny],
  ];
  it.each(systems)("is kept in a session of %s", async (_, system, members) => {
    const flow = await start(system);
    const app = await flow.bridged();
    const rowsOf = (data: object) => (system.hasStore ? [expect.objectContaining({ data })] : []);
    const browser = (await visitorWith(flow, members)).clone({ baseUrl: app.url });
    for (const [path, added] of [
      ["/whoami", {}],
      ["/set?by=cookie", { by: "cookie" }],
    ] as const) {
      await browser.get(path);
      expect(await dataOfSessions(flow)).toEqual([{ ...members, ...added }]);
      expect(await flow.application.rows()).toEqual(rowsOf({ ...members, ...added }));
    }
  });

  const withMethods = named([
    expressSessionSystem,
    cookieSessionSystem,
    koaSessionMinimalSystem,
    koaGenericSessionSystem,
  ]);
  it.each(withMethods)("is no method in one of %s: toJSON", async (_, system) => {
    const flow = await start(system);
    const app = await flow.bridged();
    const members = { userId: "1", toJSON: "text" };
    const browser = (await visitorWith(flow, members)).clone({ baseUrl: app.url });
    const read = await browser.get("/whoami");
    const { accessToken } = pairIn(read);

    const answers = [
      read,
      await browser.get("/set?by=cookie"),
      await app.browser().get("/whoami", bearer(accessToken)),
      await app.browser().get("/set?by=bearer", bearer(accessToken)),
    ];

    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(await dataOfSessions(flow)).toEqual([{ ...members, by: "bearer" }]);
    expect([...app.errors, ...app.bridgeErrors]).toEqual([]);
  });
});

describe("A member of the name cookie, in a session of express-session,", () => {
  const consent: Handler = (ctx) => {
    ctx.session.cookie = "accepted";
    ctx.session.asked = true;
    ctx.body = {};
  };
  it.each(["unlinked", "upgraded"])("does not cost it its expiry, when %s", async (state) => {
    const flow = await start(expressSessionSystem);
    const handlers = { ...flow.application.bridged.handlers, "/consent": consent };
    const app = await flow.bridged({ handlers });
    const before = await flow.loginBefore();
    const browser = before.clone({ baseUrl: app.url });
    if (state === "upgraded") await browser.get("/whoami");
    const cookies = async () =>
      (await flow.database.pool.query(`select "sess"->'cookie' as "cookie" from "session"`)).rows;
    const [{ cookie }] = await cookies();

    expect((await browser.get("/consent")).status).toBe(200);

    expect(await cookies()).toMatchObject([{ cookie: { originalMaxAge: 86_400_000 } }]);
    const [row] = await cookies();
    expect(Date.parse(row.cookie.expires)).toBeGreaterThanOrEqual(Date.parse(cookie.expires));
    const [link] = await flow.tableRows("sessionBridgeLink");
    expect(link.expiresAt).toEqual(new Date(row.cookie.expires as string));
    for (const each of [before, browser]) {
      expect((await each.get("/whoami")).body.session).toMatchObject({
        userId: "user-1",
        asked: true,
      });
    }
  });
});

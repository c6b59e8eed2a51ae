import { describe, expect, it } from "vitest";
import { bearer, tokensOf } from "../support/app.js";
import type { Browser, BrowserResponse } from "../support/client.js";
import { namedSystems } from "../support/systems/index.js";
import { appPath } from "../support/systems/session-api.js";
import { flowsOfTest } from "../support/systems/system-flow.js";
import { pairIn, refresh, type Tokens, whoami } from "../support/tokens.js";

const start = flowsOfTest();

const ways: Record<string, (browser: Browser, pair: Tokens) => Promise<BrowserResponse>> = {
  cookie: (browser) => browser.get("/logout"),
  bearer: (browser, { accessToken }) => browser.get("/logout", bearer(accessToken)),
  "the endpoint and cookie": (browser) => browser.post("/session/logout"),
  "the endpoint and bearer": (browser, { accessToken }) =>
    browser.post("/session/logout", bearer(accessToken)),
};

describe.each(namedSystems)("A session of %s", (_, system) => {
  it.each(Object.entries(ways))(
    "is dead for both sides after a logout by %s",
    async (_, logOut) => {
      const flow = await start(system);
      const app = await flow.bridged();
      const before = await flow.loginBefore();
      const firstCookies = before.clone({ baseUrl: app.url });
      const browser = (await flow.identified(before)).clone({ baseUrl: app.url });
      const pair = pairIn(await browser.get("/count"));
      const stolen = browser.clone();

      const { status } = await logOut(browser, pair);

      expect([200, 204]).toContain(status);
      expect([...browser.cookies.keys()]).toEqual([]);
      for (const copy of [stolen, firstCookies]) {
        for (const path of ["/whoami", "/count", "/set?again=1", "/whoami"]) {
          const response = await copy.get(path);
          expect(response.status).toBe(200);
          expect(response.body.session).not.toHaveProperty("userId");
          expect(tokensOf(response).accessToken).not.toBe(pair.accessToken);
        }
      }
      expect((await whoami(app.url, pair)).status).toBe(401);
      expect((await refresh(app.url, pair.refreshToken)).status).toBe(401);
      expect(await flow.loggedIn()).toBe(0);
      const alive = (await flow.application.rows()).filter(({ data }) => "userId" in data);
      expect(alive).toEqual([]);
      expect(app.errors).toEqual([]);
      expect(app.bridgeErrors).toEqual([]);
    },
  );

  it("that nobody had upgraded is dead after a logout, and another goes on", async () => {
    const flow = await start(system);
    const app = await flow.bridged();
    const other = (await flow.login("user-2")).clone({ baseUrl: app.url });
    const browser = (await flow.login()).clone({ baseUrl: app.url });
    const stolen = browser.clone();

    await browser.get("/logout");

    const replayed = await stolen.get("/whoami");
    expect(replayed.body.session).toEqual({});
    expect(tokensOf(replayed).accessToken).toBeUndefined();
    expect((await other.get("/whoami")).body.session).toEqual({ userId: "user-2" });
    expect(await flow.loggedIn()).toBe(1);
  });

  // Where the application sets its cookies, there they are to be cleared.
  it.each(["cookie", "bearer"])(
    "with a path and domain of its own is cleared there by a logout by %s",
    async (by) => {
      const domain = "127.0.0.1";
      const flow = await start(system, { cookie: { path: appPath, domain } });
      const app = await flow.bridged();
      const { browser, pair } = await flow.upgraded(app);
      const names = [...browser.cookies.keys()].sort();

      const response = await browser.get(
        `${appPath}/logout`,
        by === "bearer" ? bearer(pair.accessToken) : {},
      );

      const cleared = response.setCookie.map(attributesOf);
      expect(cleared.map(({ name }) => name).sort()).toEqual(names);
      const expires = "thu, 01 jan 1970 00:00:00 gmt";
      for (const cookie of cleared)
        expect(cookie).toMatchObject({ path: appPath, domain, expires });
      expect((await whoami(app.url, pair)).status).toBe(401);
    },
  );

  it("sets no other cookies than its own, and none at all when it is read-only", async () => {
    const flow = await start(system);
    const app = await flow.bridged();
    const before = await flow.loginBefore();
    expect([...before.cookies.keys()].sort()).toEqual([...system.cookieNames].sort());
    const browser = (await flow.identified(before)).clone({ baseUrl: app.url });
    const set: string[] = [];

    for (const path of ["/whoami", "/set?a=1", "/login?user=user-2", "/whoami"]) {
      const { setCookie } = await browser.get(path);
      set.push(...setCookie.map((line) => attributesOf(line).name!));
    }

    const allowed: readonly string[] = system.isReadOnly ? [] : system.cookieNames;
    expect(set.filter((name) => !allowed.includes(name))).toEqual([]);
    const known = [...system.cookieNames, ...system.ownCookieNames];
    expect([...browser.cookies.keys()].filter((name) => !known.includes(name))).toEqual([]);
  });
});

/** A `Set-Cookie` line's name and attributes, in lower case. */
function attributesOf(line: string): Record<string, string> {
  const [pair = "", ...attributes] = line.split("; ");
  return {
    ...Object.fromEntries(
      attributes.map((attribute) => attribute.toLowerCase().split("=") as [string, string]),
    ),
    name: pair.slice(0, pair.indexOf("=")),
  };
}

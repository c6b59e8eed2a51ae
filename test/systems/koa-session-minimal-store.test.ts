import { describe, expect, it } from "vitest";
import { minimalHandlers } from "../support/systems/koa-session-minimal.js";
import { sideBySideOfTest } from "../support/systems/side-by-side.js";
import { minimal, type Side } from "../support/systems/variants.js";

const tests = sideBySideOfTest();
const login = "/login?user=ada";
const user = { userId: "ada" };

const start = (configure: (side: Side) => object, options: object = {}) =>
  tests.start(minimal(configure), { handlers: minimalHandlers, ...options });

describe("A store that koa-session-minimal does not wait for", () => {
  it("has done its work before the response comes", async () => {
    let isDone = true;
    const slow =
      <Of extends unknown[]>(act: (...of: Of) => Promise<void>) =>
      async (...of: Of) => {
        isDone = false;
        await new Promise((resolve) => setTimeout(resolve, 30));
        await act(...of);
        isDone = true;
      };
    const { bridged } = await start(({ client }) => ({
      store: { ...client, set: slow(client.set), destroy: slow(client.destroy) },
    }));
    for (const path of [login, "/set?a=1", "/regenerate", "/logout"]) {
      await bridged.browser.get(path);
      expect([path, isDone]).toEqual([path, true]);
    }
    expect(bridged.side.rows()).toEqual([]);
  });

  const failing = (method: string) => {
    const away = { isAway: false };
    const configure = ({ client }: Side) => ({
      store: {
        ...client,
        [method]: (...of: [string, unknown, unknown]) =>
          away.isAway ? Promise.reject(new Error("away")) : client[method as "set"](...of),
      },
    });
    return { away, configure };
  };

  it.each([
    ["set", "/set?a=1", user],
    // A logout holds, whether or not the row could be removed.
    ["destroy", "/logout", {}],
  ])("has a 503 and no cookie sent when %s fails at %s in observe", async (method, path, after) => {
    const { away, configure } = failing(method);
    const both = await start(configure, { mode: "observe" });
    const { browser, app } = both.bridged;
    await browser.get(login);
    const before = browser.cookies.get("koa:sess");

    away.isAway = true;
    const response = await browser.get(path);
    away.isAway = false;

    expect([response.status, response.body.code]).toEqual([503, "legacy-store-unavailable"]);
    expect(response.setCookie).toEqual([]);
    expect(app.errors).toMatchObject([{ code: "legacy-store-unavailable" }]);
    expect(browser.cookies.get("koa:sess")).toBe(before);
    expect((await browser.get("/whoami")).body.session).toEqual(after);
  });

  it.each([
    ["set", "/set?a=1", { ...user, a: "1" }],
    ["destroy", "/logout", {}],
  ])(
    "is told of, and costs an upgraded session nothing, when %s fails at %s",
    async (method, path, after) => {
      const { away, configure } = failing(method);
      const { browser, app } = (await start(configure)).bridged;
      await browser.get(login);

      away.isAway = true;
      const response = await browser.get(path);

      expect(response.status).toBe(200);
      expect(app.bridgeErrors).toMatchObject([{ code: "legacy-store-unavailable" }]);
      expect((await browser.get("/whoami")).body.session).toEqual(after);
    },
  );
});

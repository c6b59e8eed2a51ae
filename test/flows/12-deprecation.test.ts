import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Mode, SessionBridgeOptions } from "../../src/index.js";
import { bearer, MapStore, type RunningApp, startBridgedApp } from "../support/app.js";
import type { BrowserResponse } from "../support/client.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { legacyKinds } from "../support/flow.js";
import { plantCookie } from "../support/signed-cookie.js";
import { login } from "../support/tokens.js";

const deprecation = {
  at: new Date("2026-03-01T00:00:00Z"),
  sunset: new Date("2026-09-30T23:59:59Z"),
  link: "https://example.com/sessions",
};

let database: TestDatabase;
const apps: RunningApp[] = [];

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.drop());
afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
});

async function start(
  options: Partial<SessionBridgeOptions> & Parameters<typeof startBridgedApp>[1] = {},
): Promise<RunningApp> {
  const app = await startBridgedApp(database.pool, { deprecation, ...options });
  apps.push(app);
  return app;
}

const marks = ({ headers }: BrowserResponse) => ({
  deprecation: headers["deprecation"],
  sunset: headers["sunset"],
  link: headers["link"],
});
const unmarked = { deprecation: undefined, sunset: undefined, link: undefined };
const marked = {
  deprecation: "@1772323200",
  sunset: "Wed, 30 Sep 2026 23:59:59 GMT",
  link: '<https://example.com/sessions>; rel="deprecation"; type="text/html"',
};

for (const kind of legacyKinds) {
  test(`the answer to a cookie (session in a ${kind}) carries the dates and the link`, async () => {
    for (const mode of ["observe", "bridge", "drain"] satisfies Mode[]) {
      let current: Mode = "observe";
      const config = kind === "store" ? { store: new MapStore() } : {};
      const app = await start({ config, mode: () => current });
      const browser = app.browser();
      await browser.get("/login");
      current = mode;
      expect(marks(await browser.get("/whoami"))).toEqual(marked);
      expect(marks(await browser.get("/untouched"))).toEqual(marked);
      expect(marks(await browser.get("/count"))).toEqual(marked);
    }
  });
}

test("the answer to a bearer token is not marked, with a cookie beside it or without", async () => {
  const app = await start();
  const { browser, pair } = await login(app);
  expect(marks(await app.browser().get("/whoami", bearer(pair.accessToken)))).toEqual(unmarked);
  expect(marks(await browser.get("/whoami", bearer(pair.accessToken)))).toEqual(unmarked);
  expect(marks(await browser.get("/whoami", bearer("not-a-token")))).toEqual(unmarked);
});

test("the answer to no credential, or to a dead cookie, is not marked", async () => {
  const app = await start();
  expect(marks(await app.browser().get("/whoami"))).toEqual(unmarked);
  expect(marks(await app.browser().get("/login"))).toEqual(unmarked);
  const unknown = plantCookie(app.browser(), "an-unknown-id");
  expect(marks(await unknown.get("/whoami"))).toEqual(unmarked);
  const forged = plantCookie(app.browser(), "an-unknown-id", { key: "another key" });
  expect(marks(await forged.get("/whoami"))).toEqual(unmarked);
});

test("in mode tokens nothing is marked", async () => {
  let mode: Mode = "bridge";
  const app = await start({ mode: () => mode });
  const { browser } = await login(app);
  mode = "tokens";
  expect(marks(await browser.get("/whoami"))).toEqual(unmarked);
});

test("nothing is marked where nothing is configured", async () => {
  const app = await startBridgedApp(database.pool);
  apps.push(app);
  const { browser } = await login(app);
  expect(marks(await browser.get("/whoami"))).toEqual(unmarked);
});

test("without a sunset and a link there is the date alone", async () => {
  const app = await start({ deprecation: { at: deprecation.at } });
  const { browser } = await login(app);
  expect(marks(await browser.get("/whoami"))).toEqual({
    ...unmarked,
    deprecation: "@1772323200",
  });
});

test("a Link of the handler's own stays", async () => {
  const app = await start({
    handlers: {
      "/linked": (ctx) => {
        ctx.set("Link", '</next>; rel="next"');
      },
    },
  });
  const { browser } = await login(app);
  const { link } = marks(await browser.get("/linked"));
  expect(link).toBe(`</next>; rel="next", ${marked.link}`);
});

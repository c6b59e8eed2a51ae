import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  bearer,
  type RunningApp,
  startBridgedApp,
  startPlainApp,
  tokensOf,
} from "../support/app.js";
import { Browser, type BrowserResponse } from "../support/client.js";
import { TestClock } from "../support/clock.js";
import { testDatabase, type TestDatabase } from "../support/database.js";
import {
  configOf,
  type Probe,
  type Recording,
  recordedHandlers,
  RecordedStore,
  recordings,
  sessionOf,
} from "../support/recordings.js";
import { koaOf, type KoaVersion } from "../support/versions.js";

const koaVersions: KoaVersion[] = ["2", "3"];
const cases = recordings.flatMap((recording) =>
  koaVersions.map((koa) => [recording.name, koa, recording] as const),
);

const ask = (url: string, { request }: Pick<Probe, "request">) =>
  new Browser(url).request(request.method, request.url, {
    headers: request.cookie === null ? {} : { cookie: request.cookie },
  });

describe.each(cases)("The recorded sessions of %s on koa %s", (_, koa, recording) => {
  const setUp = { keys: recording.keys, handlers: recordedHandlers };
  const versions = { Koa: koaOf(koa), session: sessionOf(recording) };
  let database: TestDatabase;
  let store: RecordedStore;
  const apps: Pick<RunningApp, "close">[] = [];

  const bridged = async (options: Parameters<typeof startBridgedApp>[1]) => {
    const config = configOf(recording, store);
    const app = await startBridgedApp(database.pool, { ...setUp, versions, config, ...options });
    apps.push(app);
    return app;
  };

  /** A browser with a recorded cookie, and time to pass: a data cookie first gets an id. */
  const visit = async (cookie: string | null, options: Parameters<typeof bridged>[0] = {}) => {
    const clock = new TestClock();
    const allowUnsigned = !recording.signed;
    const app = await bridged({ allowUnsigned, clock: clock.now, ...options });
    const browser = new Browser(app.url);
    for (const pair of cookie?.split("; ") ?? []) {
      const name = pair.slice(0, pair.indexOf("="));
      browser.cookies.set(name, pair.slice(name.length + 1));
    }
    return { app, browser, later: () => clock.advance(10) };
  };

  beforeAll(async () => {
    database = await testDatabase();
  });
  beforeEach(async () => {
    store = new RecordedStore(recording);
    await database.pool.query(`truncate "sessionStore", "sessionBridgeLink" cascade`);
    return async () => {
      for (const app of apps.splice(0)) await app.close();
    };
  });
  afterAll(() => database.drop());

  it.each(Object.entries(recording.sessions))(
    "%s: upgraded to exactly its data",
    async (_, { cookieHeader, expected }) => {
      const { app, browser, later } = await visit(cookieHeader);

      expect((await browser.get("/whoami")).body.session).toEqual(expected);
      later();
      const response = await browser.get("/whoami");

      expect(response.status).toBe(200);
      expect(response.body.session).toEqual(expected);
      const { rows } = await database.pool.query(`select "data" from "sessionStore"`);
      expect(rows).toEqual([{ data: expected }]);
      const by = bearer(tokensOf(response).accessToken);
      const byBearer = await new Browser(app.url).get("/whoami", by);
      expect(byBearer.body.session).toEqual(expected);
      expect(app.bridgeErrors).toEqual([]);
    },
  );

  if (!recording.signed) {
    it("unsigned, are accepted, and upgraded only if that is allowed", async () => {
      for (const { cookieHeader, expected } of Object.values(recording.sessions)) {
        const { browser, later } = await visit(cookieHeader, { allowUnsigned: false });
        for (const _ of [1, 2]) {
          const response = await browser.get("/whoami");
          expect(response.body.session).toEqual(expected);
          expect(response.setCookie).toEqual([]);
          expect(tokensOf(response).accessToken).toBeUndefined();
          later();
        }
      }
      expect((await database.pool.query(`select from "sessionStore"`)).rows).toEqual([]);
    });
  }

  // The first one: once its session has been upgraded, the old store may be away.
  const probes = Object.entries(recording.probes).sort(([name]) =>
    name === "storeThrows" ? -1 : 1,
  );

  it("show what plain koa-session shows, as recorded", async () => {
    const plain = await startPlainApp(configOf(recording, store), recordedHandlers, {
      versions,
      keys: recording.keys,
    });
    apps.push(plain);
    for (const [name, probe] of probes) {
      store.fails = name === "storeThrows";
      const { status, body } = await ask(plain.url, probe);
      const { id: _id, ...recorded } = Object(probe.response.body) as { id?: string };
      const expected = typeof probe.response.body === "string" ? probe.response.body : recorded;
      expect({ name, status, body: body as unknown }).toEqual({
        name,
        status: probe.response.status,
        body: expected,
      });
    }
  });

  it.each(["observe", "bridge"] as const)("let in nobody else, in mode %s", async (mode) => {
    for (const [name, probe] of probes) {
      const { browser, later } = await visit(probe.request.cookie, { mode });
      store.fails = name === "storeThrows";
      const { method, url } = probe.request;
      expectNoMoreThan(recording, name, probe, await browser.request(method, url));
      later();
      // A client that was let in has a session of its own by now.
      if (url === "/whoami") {
        expectNoMoreThan(recording, name, probe, await browser.request(method, url));
      }
    }
  });
});

/** Ours shows what was recorded or less; where nothing was shown, it offers no tokens either. */
function expectNoMoreThan(
  { cookieName }: Recording,
  name: string,
  { request, response }: Probe,
  ours: BrowserResponse,
): void {
  const shown = { ...((ours.body as { session?: object }).session ?? {}) };
  const recorded = { ...((response.body as { session?: object }).session ?? {}) };
  expect({ name, shown }).toEqual({
    name,
    shown: Object.fromEntries(Object.entries(recorded).filter(([member]) => member in shown)),
  });
  if (request.url === "/count") {
    // The unknown key that the cookie named is not the key of the session that was made.
    expect({ name, body: ours.body as unknown }).toEqual({ name, body: { count: 1 } });
    const presented = request.cookie!.split("; ")[0]!;
    expect(ours.setCookie.some((line) => line.startsWith(`${cookieName}=`))).toBe(true);
    expect(ours.setCookie.some((line) => line.startsWith(`${presented};`))).toBe(false);
    return;
  }
  const isRefused = response.status >= 500 || (response.body as { isNew?: boolean }).isNew === true;
  if (isRefused && Object.keys(recorded).length === 0) {
    expect({ name, offered: tokensOf(ours).accessToken }).toEqual({ name, offered: undefined });
    expect(ours.setCookie.filter((line) => /^[^=]+(?<!\.sig)=[^;]/.test(line))).toEqual([]);
  }
}

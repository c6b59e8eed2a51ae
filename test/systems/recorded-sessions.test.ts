import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { SessionBridgeOptions } from "../../src/index.js";
import { bearer, startBridgedApp, tokensOf } from "../support/app.js";
import { Browser, type BrowserResponse } from "../support/client.js";
import { TestClock } from "../support/clock.js";
import { testDatabase, type TestDatabase } from "../support/database.js";
import {
  type Probe,
  RecordedStore,
  type Recording,
  recordings,
  takeCookies,
} from "../support/recordings.js";
import type { OldApplication } from "../support/systems/old-system.js";
import { recordedSystem } from "../support/systems/recorded.js";
import { dataOf } from "../support/systems/session-api.js";
import { pairIn, whoami } from "../support/tokens.js";
import type { KoaVersion } from "../support/versions.js";

const koaVersions: KoaVersion[] = ["2", "3"];
const cases = recordings.flatMap((recording) =>
  koaVersions.map((koa) => [recording.name, koa, recording] as const),
);

describe.each(cases)("The recorded sessions of %s on koa %s", (_, koa, recording) => {
  const { system, settings, fill } = recordedSystem(recording);
  const isUnsignedData = !recording.signed && recording.storage === "cookie";
  // koa-session-minimal never signs; its cookies carry an id.
  const allowUnsigned = isUnsignedData;
  let database: TestDatabase;
  let store: RecordedStore;
  let application: OldApplication;
  const apps: { close(): Promise<void> }[] = [];

  /** A browser with recorded cookies, and time to pass: a data cookie first gets an id. */
  const visit = async (cookie: string | null, options: Partial<SessionBridgeOptions> = {}) => {
    const clock = new TestClock();
    const app = await startBridgedApp(database.pool, {
      ...application.bridged,
      legacy: application.source(),
      allowUnsigned,
      clock: clock.now,
      ...options,
    });
    apps.push(app);
    return { app, browser: takeCookies(app.browser(), cookie), later: () => clock.advance(10) };
  };
  /** The same, when the session has been upgraded. */
  const upgraded = async (cookie: string) => {
    const { app, browser, later } = await visit(cookie);
    await browser.get("/whoami");
    later();
    return { app, browser, pair: pairIn(await browser.get("/whoami")) };
  };

  beforeAll(async () => {
    database = await testDatabase();
    await system.prepare(database.pool);
  });
  beforeEach(async () => {
    store = new RecordedStore(recording);
    await fill(database.pool);
    application = system.on(database.pool, { ...settings(store), koa });
    await database.pool.query(`truncate "sessionStore", "sessionBridgeLink" cascade`);
    return async () => {
      for (const app of apps.splice(0)) await app.close();
    };
  });
  afterAll(() => database.drop());

  const sessions = Object.entries(recording.sessions);

  it.each(sessions)("%s: upgraded to exactly its data", async (_, { cookieHeader, expected }) => {
    const { app, browser, later } = await visit(cookieHeader);

    expect((await browser.get("/whoami")).body.session).toEqual(expected);
    later();
    const response = await browser.get("/whoami");

    expect(response.status).toBe(200);
    expect(response.body.session).toEqual(expected);
    const { rows } = await database.pool.query(`select "data" from "sessionStore"`);
    expect(rows).toEqual([{ data: expected }]);
    expect((await whoami(app.url, pairIn(response))).body.session).toEqual(expected);
    expect(app.bridgeErrors).toEqual([]);
  });

  it.each(
    sessions.flatMap(([name, session]) => [
      [name, "cookie", session] as const,
      [name, "bearer", session] as const,
    ]),
  )(
    "%s: a logout by %s ends both sides and clears all cookies",
    async (_, by, { cookieHeader, storeKey }) => {
      const { app, browser, pair } = await upgraded(cookieHeader);
      const names = [...browser.cookies.keys()].sort();
      const stolen = browser.clone();

      const response = await browser.get(
        "/logout",
        by === "bearer" ? bearer(pair.accessToken) : {},
      );

      expect(response.status).toBe(200);
      expect(clearedNames(response)).toEqual(names);
      expect([...browser.cookies.keys()]).toEqual([]);
      expect((await whoami(app.url, pair)).status).toBe(401);
      expect((await stolen.get("/whoami")).body.session).toEqual({});
      // Anybody can write the unsigned one: it ends nobody else's.
      if (!isUnsignedData) {
        const first = takeCookies(app.browser(), cookieHeader);
        expect((await first.get("/whoami")).body.session).toEqual({});
      }
      if (storeKey !== undefined) {
        const rows = [...(await application.rows()), ...store.entries].map(keyOf);
        expect(rows).not.toContain(storeKey);
      }
      expect(app.bridgeErrors).toEqual([]);
    },
  );

  if (isUnsignedData) {
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

  it("show what the package alone shows, as recorded", async () => {
    const plain = await application.startPlain();
    apps.push(plain);
    for (const [name, { request, response }] of probes) {
      // Compas refuses such an id in the store that it made its queries with, which is not this one.
      if (name === "weirdSid" && recording.kind === "compas-legacy") continue;
      store.fails = name === "storeThrows";
      const { status, body } = await new Browser(plain.url).request(request.method, request.url, {
        headers: request.cookie === null ? {} : { cookie: request.cookie },
      });
      expect({ name, status, shown: shownIn(body) }).toEqual({
        name,
        status: response.status,
        shown: shownIn(response.body),
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

const keyOf = (row: { key: string } | [string, unknown]) => ("key" in row ? row.key : row[0]);

/** The names of the cookies that a response clears, which has to set no others. */
function clearedNames({ setCookie }: BrowserResponse): string[] {
  for (const line of setCookie) {
    expect(line).toMatch(/^[^=]+=[^;]*; path=\/; expires=Thu, 01 Jan 1970 00:00:00 GMT/i);
  }
  return setCookie.map((line) => line.slice(0, line.indexOf("="))).sort();
}

/** The session that a body shows; the recorded applications answered a count with the count alone. */
function shownIn(body: unknown): unknown {
  if (typeof body !== "object" || body === null) return body;
  const { session, count } = body as { session?: unknown; count?: number };
  return count === undefined ? dataOf(session) : { count };
}

/** Ours shows what was recorded or less; where nothing was shown, it offers no tokens either. */
function expectNoMoreThan(
  { cookieName }: Recording,
  name: string,
  { request, response }: Probe,
  ours: BrowserResponse,
): void {
  const shown = Object(shownIn(Object(ours.body))) as object;
  const recorded = Object(shownIn(Object(response.body))) as object;
  expect({ name, shown }).toEqual({
    name,
    shown: Object.fromEntries(Object.entries(recorded).filter(([member]) => member in shown)),
  });
  if (request.url === "/count") {
    // The unknown key that the cookie named is not the key of the session that was made.
    expect({ name, shown }).toEqual({ name, shown: { count: 1 } });
    const presented = request
      .cookie!.split("; ")
      .find((pair) => pair.startsWith(`${cookieName}=`))!;
    expect(ours.setCookie.some((line) => line.startsWith(`${presented};`))).toBe(false);
    return;
  }
  // What the store gave was taken for a session, though an empty one.
  const isTaken = name.startsWith("store") && response.status === 200;
  if (Object.keys(recorded).length === 0 && !isTaken) {
    expect({ name, offered: tokensOf(ours).accessToken }).toEqual({ name, offered: undefined });
    expect(ours.setCookie.filter((line) => /^[^=]+(?<!\.sig)=[^;]/.test(line))).toEqual([]);
  }
}

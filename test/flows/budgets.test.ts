import { connect } from "node:net";
import { text } from "node:stream/consumers";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Mode } from "../../src/index.js";
import { bearer, type RunningApp, startBridgedApp, startPlainApp } from "../support/app.js";
import { TestClock } from "../support/clock.js";
import type { Browser } from "../support/client.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { PgLegacyStore } from "../support/pg-legacy-store.js";
import { countStatements, type StatementCount } from "../support/statements.js";
import { login, refresh, whoami } from "../support/tokens.js";

// The old store is in the same database, on the same pool: its own statements are counted as well.
let database: TestDatabase;
let pool: pg.Pool;
let statements: StatementCount;
let app: RunningApp;
let clock: TestClock;
let mode: Mode;
let store: PgLegacyStore;

beforeAll(async () => {
  database = await testDatabase();
  pool = new pg.Pool({ connectionString: database.url, max: 10 });
  statements = countStatements(pool);
  store = new PgLegacyStore(pool);
  await store.createTable();
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});
beforeEach(async () => {
  mode = "bridge";
  clock = new TestClock();
  app = await start({ store });
});
afterEach(() => app.close());

async function start(config: object): Promise<RunningApp> {
  return startBridgedApp(pool, { config, clock: clock.now, mode: () => mode });
}

/** The first words of the statements that `work` sent. */
async function sent(work: () => Promise<unknown>): Promise<string[]> {
  statements.reset();
  await work();
  return statements.texts.map(nameOf);
}

function nameOf(text: string): string {
  if (text.includes(`"oldSession"`)) return text.startsWith("select") ? "old read" : "old write";
  const names: [string, string][] = [
    [`insert into "sessionBridgeLink"`, "upgrade"],
    [`from "sessionBridgeLink" l left join`, "read"],
    [`from "sessionStoreToken" t cross join`, "read"],
    [`|| $3::jsonb`, "update"],
    [`update "sessionStoreToken" t\n    set "revokedAt" = coalesce`, "rotate"],
    [`set "offer" = case`, "renew offer"],
    [`"adoptedAt" = $2`, "adopt"],
    [`insert into "sessionStore" `, "create"],
    [`update "sessionStore" set "revokedAt"`, "revoke"],
  ];
  return names.find(([part]) => text.includes(part))?.[1] ?? text;
}

/** A browser whose cookie no bridge has seen. */
async function oldBrowser(config: object = { store }): Promise<Browser> {
  const plain = await startPlainApp(config);
  const browser = plain.browser();
  await browser.get("/login");
  await plain.close();
  return browser.clone({ baseUrl: app.url });
}

/** A client with tokens in use, of a session that was never a cookie's. */
async function tokenClient() {
  const { accessToken, refreshToken } = await app.bridge.sessions.create({ userId: "user-1" });
  return { accessToken, refreshToken };
}

/** Requests that reach the server in one turn of its event loop: on one connection, in one write. */
async function pipelined(accessTokens: string[]): Promise<void> {
  const socket = connect(Number(new URL(app.url).port), "127.0.0.1");
  const last = accessTokens.length - 1;
  const requests = accessTokens.map((token, index) => {
    const connection = index === last ? "close" : "keep-alive";
    const lines = ["GET /whoami HTTP/1.1", "Host: 127.0.0.1", `Connection: ${connection}`];
    return [...lines, `Authorization: Bearer ${token}`, "", ""].join("\r\n");
  });
  socket.write(requests.join(""));
  const answer = await text(socket);
  expect(answer.split("HTTP/1.1 200 OK")).toHaveLength(accessTokens.length + 1);
}

describe("a bearer request", () => {
  test("that changes nothing is one read", async () => {
    const pair = await tokenClient();
    for (const path of ["/whoami", "/untouched"]) {
      expect(await sent(() => app.browser().get(path, bearer(pair.accessToken)))).toEqual(["read"]);
    }
  });

  test("and others at the same time share one", async () => {
    const pairs = await Promise.all(Array.from({ length: 30 }, tokenClient));
    const { sessions } = app.bridge;
    const loads = () => Promise.all(pairs.map(({ accessToken }) => sessions.get(accessToken)));
    const requests = () => pipelined(pairs.map(({ accessToken }) => accessToken));
    for (const work of [loads, requests]) {
      const texts = await sent(work);
      expect(new Set(texts)).toEqual(new Set(["read"]));
      // Signatures are verified by threads, so on a busy machine they end in more than one turn.
      expect(texts.length).toBeLessThanOrEqual(10);
    }
  });

  test("that changes data is one read and one update", async () => {
    const pair = await tokenClient();
    const change = () => app.browser().get("/count", bearer(pair.accessToken));
    expect(await sent(change)).toEqual(["read", "update"]);
  });

  test("of an upgraded session writes the old store through, and is adopted once", async () => {
    const { pair } = await login(app);
    const change = () => app.browser().get("/count", bearer(pair.accessToken));
    expect(await sent(change)).toEqual(["read", "adopt", "old write", "update"]);
    expect(await sent(change)).toEqual(["read", "old write", "update"]);
    mode = "tokens";
    expect(await sent(change)).toEqual(["read", "update"]);
  });

  test("that is refused is one read, or none when it is no token of ours", async () => {
    const pair = await tokenClient();
    await app.browser().get("/logout", bearer(pair.accessToken));
    expect(await sent(() => whoami(app.url, pair))).toEqual(["read"]);
    expect(await sent(() => app.browser().get("/whoami", bearer("not-a-token")))).toEqual([]);
  });
});

describe("sessions and tokens", () => {
  test("a session with its pair is created by one statement", async () => {
    expect(await sent(() => app.bridge.sessions.create({ userId: "user-1" }))).toEqual(["create"]);
    mode = "tokens";
    expect(await sent(() => app.browser().get("/login"))).toEqual(["create"]);
    mode = "drain";
    expect(await sent(() => app.browser().get("/login"))).toEqual(["create"]);
  });

  test("a refresh is one statement, also the first after an upgrade, also a repeated one", async () => {
    const { pair } = await login(app);
    expect(await sent(() => refresh(app.url, pair.refreshToken))).toEqual(["rotate"]);
    expect(await sent(() => refresh(app.url, pair.refreshToken))).toEqual(["rotate"]);
  });

  test("a logout by token is one read and one revocation", async () => {
    const pair = await tokenClient();
    const logout = () => app.browser().get("/logout", bearer(pair.accessToken));
    expect(await sent(logout)).toEqual(["read", "revoke"]);
  });
});

describe("a legacy request", () => {
  // The second look at the old store: a process in observe may have written to it meanwhile.
  test("that is not upgraded yet is one read, the old store's reads and one upgrade", async () => {
    for (const path of ["/whoami", "/untouched"]) {
      const browser = await oldBrowser();
      const texts = await sent(() => browser.get(path));
      expect(texts).toEqual(["read", "old read", "old read", "upgrade"]);
    }
  });

  test("that is not upgraded yet and changes data needs no further statement for it", async () => {
    const browser = await oldBrowser();
    const texts = await sent(() => browser.get("/count"));
    expect(texts.filter((name) => name !== "old write")).toEqual(["read", "old read", "upgrade"]);
  });

  test("that is upgraded is one read; a fresh offer costs nothing", async () => {
    const { browser } = await login(app);
    expect(await sent(() => browser.get("/whoami"))).toEqual(["read"]);
    expect(await sent(() => browser.get("/untouched"))).toEqual(["read"]);
  });

  test("that is upgraded costs one more when the access token on offer has to be renewed, once", async () => {
    const { browser } = await login(app);
    clock.advance(899);
    expect(await sent(() => browser.get("/whoami"))).toEqual(["read", "renew offer"]);
    expect(await sent(() => browser.get("/whoami"))).toEqual(["read"]);
  });

  test("that is upgraded and changes data is one read and one update, with the old store's write", async () => {
    const { browser } = await login(app);
    const texts = await sent(() => browser.get("/count"));
    expect(texts.filter((name) => name !== "old write")).toEqual(["read", "update"]);
    expect(texts).toHaveLength(3);
  });

  test("with the data in the cookie has no old store to ask", async () => {
    await app.close();
    app = await start({});
    const browser = await oldBrowser({});
    // First the cookie gets an id of its own, which has to come back.
    expect(await sent(() => browser.get("/whoami"))).toEqual(["read"]);
    clock.advance(5);
    // The second read: whether the cookie has ended under another id that it was given.
    expect(await sent(() => browser.get("/whoami"))).toEqual(["read", "read", "upgrade"]);
    expect(await sent(() => browser.get("/whoami"))).toEqual(["read"]);
    expect(await sent(() => browser.get("/count"))).toEqual(["read", "update"]);
  });

  // The last read: another process, already in another mode, may have upgraded it meanwhile.
  test("in observe is one read more than without the bridge, and one more for a write", async () => {
    mode = "observe";
    const browser = await oldBrowser();
    expect(await sent(() => browser.get("/whoami"))).toEqual(["read", "old read"]);
    const texts = await sent(() => browser.get("/count"));
    expect(texts).toEqual(["read", "old read", "old write", "read"]);
  });

  test("in mode tokens is none", async () => {
    const { browser } = await login(app);
    mode = "tokens";
    expect(await sent(() => browser.get("/whoami"))).toEqual([]);
  });

  test("with a signature that does not hold is none", async () => {
    const browser = await oldBrowser();
    for (const name of browser.cookies.keys()) {
      if (name.endsWith(".sig")) browser.cookies.set(name, "no signature");
    }
    expect(await sent(() => browser.get("/whoami"))).toEqual([]);
  });
});

describe("what costs no statement", () => {
  test("a request without a credential, in any mode", async () => {
    for (const each of ["observe", "bridge", "drain", "tokens"] satisfies Mode[]) {
      mode = each;
      expect(await sent(() => app.browser().get("/whoami"))).toEqual([]);
      expect(await sent(() => app.browser().get("/untouched"))).toEqual([]);
    }
  });
});

test("statements are unnamed, and named with preparedStatements", async () => {
  for (const preparedStatements of [false, true]) {
    const names: unknown[] = [];
    const listening = Object.assign(Object.create(pool) as pg.Pool, {
      query: ({ name, ...config }: pg.QueryConfig) => {
        names.push(name);
        // PgBouncer before 1.21 refuses names, so here they are only asked for.
        return pool.query(config);
      },
    });
    const other = await startBridgedApp(listening, { preparedStatements });
    const { pair } = await login(other);
    await refresh(other.url, pair.refreshToken);
    expect(names.length).toBeGreaterThan(1);
    for (const name of names) expect(typeof name === "string").toBe(preparedStatements);
    await other.close();
  }
});

import { setImmediate as turn } from "node:timers/promises";
import Koa from "koa";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  type SessionContext,
  type SessionMiddleware,
  tokenSession,
} from "../../src/tokens/index.js";
import { bearer, handle, signingKeys, tokensOf } from "../support/app.js";
import { Browser } from "../support/client.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { startServer } from "../support/server.js";
import { pairIn, pairInBody, refresh, sessionIdOf, whoami } from "../support/tokens.js";

let database: TestDatabase;
let sessions: SessionMiddleware;
let url: string;
let errors: Error[];
let close: () => Promise<void>;

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  const app = new Koa<Koa.DefaultState, SessionContext>();
  errors = [];
  app.on("error", (error: Error) => errors.push(error));
  sessions = tokenSession({ pool: database.pool, signingKeys });
  app.use(sessions);
  app.use(sessions.routes());
  app.use(
    handle({
      "/new-and-throw": (ctx) => {
        ctx.session = { userId: "user-1" };
        throw new Error("the handler's own error");
      },
      "/nonsense": (ctx) => {
        ctx.session = 7;
      },
      "/new-and-save": (ctx) => {
        ctx.session = { userId: "user-3" };
        void ctx.session.save();
        ctx.session.n = 1;
      },
      "/save-and-change": (ctx) => {
        ctx.session.n = 1;
        void ctx.session.save();
        ctx.session.n = 2;
      },
      "/save-and-restore": (ctx) => {
        const { n } = ctx.session;
        ctx.session.n = "another";
        void ctx.session.save();
        ctx.session.n = n;
      },
      "/change-while-saving": async (ctx) => {
        ctx.session.cart = { first: 1 };
        const saving = ctx.session.save();
        await turn();
        ctx.session.cart.second = 2;
        ctx.session.maxAge = 60_000;
        await saving;
      },
      "/max-age": (ctx) => {
        ctx.body = { maxAge: ctx.session.maxAge };
      },
      "/set-twice": (ctx) => {
        ctx.session = null;
        ctx.session = { userId: "user-2" };
      },
    }),
  );
  ({ url, close } = await startServer(app.callback()));
});
afterEach(async () => {
  await close();
  await sessions.close();
});

const get = (path: string, accessToken?: string) =>
  new Browser(url).get(path, accessToken === undefined ? {} : bearer(accessToken));
const login = async () => pairIn(await get("/login"));

async function count(): Promise<number> {
  const { rows } = await database.pool.query(
    `select count(*)::int as "count" from "sessionStore" where "revokedAt" is null`,
  );
  return (rows[0] as { count: number }).count;
}

describe("without any cookie", () => {
  test("a session is created, read, changed, and ended", async () => {
    const pair = await login();
    expect((await whoami(url, pair)).body).toEqual({ session: { userId: "user-1" }, isNew: false });
    const changed = await get("/count", pair.accessToken);
    expect(changed.body.session).toEqual({ userId: "user-1", count: 1 });
    expect(tokensOf(changed).accessToken).toBeUndefined();
    expect((await get("/logout", pair.accessToken)).status).toBe(200);
    expect((await whoami(url, pair)).status).toBe(401);
    expect((await refresh(url, pair.refreshToken)).status).toBe(401);
  });

  test("cookies are neither read nor set", async () => {
    const browser = new Browser(url);
    browser.cookies.set("koa.sess", "anything");
    const response = await browser.get("/login");
    expect(response.setCookie).toEqual([]);
    expect((await browser.get("/whoami")).body).toEqual({ session: {}, isNew: true });
  });

  test("a stranger that changes nothing creates nothing", async () => {
    const before = await count();
    expect((await get("/whoami")).body).toEqual({ session: {}, isNew: true });
    expect(tokensOf(await get("/untouched")).accessToken).toBeUndefined();
    expect(await count()).toBe(before);
  });

  test("an empty session that is saved is created", async () => {
    const response = await get("/save");
    expect((await whoami(url, pairIn(response))).body).toEqual({ session: {}, isNew: false });
  });

  test("regenerate moves the data to a new session with new tokens", async () => {
    const pair = await login();
    const next = pairIn(await get("/regenerate", pair.accessToken));
    expect(sessionIdOf(next.accessToken)).not.toBe(sessionIdOf(pair.accessToken));
    expect((await whoami(url, next)).body.session).toEqual({ userId: "user-1" });
    expect((await whoami(url, pair)).status).toBe(401);
  });

  test("null, then an object keeps the session and replaces its data", async () => {
    const pair = await login();
    await get("/set?more=1", pair.accessToken);
    await get("/set-twice", pair.accessToken);
    expect((await whoami(url, pair)).body.session).toEqual({ userId: "user-2" });
  });

  test("anything but an object or null is misuse", async () => {
    expect((await get("/nonsense")).status).toBe(500);
    expect(errors[0]).toBeInstanceOf(TypeError);
  });
});

describe("a handler that throws", () => {
  test("keeps what it changed, as koa-session does", async () => {
    const pair = await login();
    expect((await get("/throw", pair.accessToken)).status).toBe(500);
    expect((await whoami(url, pair)).body.session).toEqual({ userId: "user-1", thrown: true });
  });

  test("creates no session that its client could never open", async () => {
    const before = await count();
    const response = await get("/new-and-throw");
    expect(response.status).toBe(500);
    expect(tokensOf(response).accessToken).toBeUndefined();
    expect(await count()).toBe(before);
  });
});

describe("the endpoints", () => {
  test("refresh and log out; there is nothing to upgrade", async () => {
    const pair = await login();
    const next = pairInBody(await refresh(url, pair.refreshToken));
    const browser = new Browser(url);
    expect((await browser.post("/session/upgrade")).body.code).toBe("no-session");
    const already = await browser.post("/session/upgrade", bearer(next.accessToken));
    expect(already.body.code).toBe("already-bearer");
    expect((await browser.post("/session/logout", bearer(next.accessToken))).status).toBe(204);
    expect((await whoami(url, next)).status).toBe(401);
  });
});

test("the store beside it knows the same sessions, and tells of leaks", async () => {
  const { accessToken } = await login();
  const session = await sessions.sessions.get(accessToken);
  expect(session?.data).toEqual({ userId: "user-1" });
  await sessions.sessions.invalidate(session!);
  expect((await get("/whoami", accessToken)).status).toBe(401);
});

test("close leaves the pool open and guarded, and tells its errors no more", async () => {
  const pool = new pg.Pool({ connectionString: database.url });
  const other = tokenSession({ pool, signingKeys });
  const told: Error[] = [];
  other.on("error", (error) => told.push(error));
  pool.emit("error", new Error("an idle connection is lost"), undefined);
  await other.close();
  pool.emit("error", new Error("another is, while the pool closes"), undefined);
  expect(told).toHaveLength(1);
  expect((await pool.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  await pool.end();
});

describe("a handler that goes on while its session is being saved", () => {
  test.each(["/save-and-change", "/save-and-restore"])(
    "has what it leaves stored, not what it had before: %s",
    async (path) => {
      const pair = await login();
      await get("/set?n=2", pair.accessToken);
      await get(path, pair.accessToken);
      const { n } = (await whoami(url, pair)).body.session as { n: unknown };
      expect(Number(n)).toBe(2);
    },
  );

  test("has everything stored that it changed meanwhile", async () => {
    const pair = await login();
    await get("/change-while-saving", pair.accessToken);
    const cart = { first: 1, second: 2 };
    expect((await whoami(url, pair)).body.session).toEqual({ userId: "user-1", cart });
    expect((await get("/max-age", pair.accessToken)).body).toEqual({ maxAge: 60_000 });
  });

  test("creates one session", async () => {
    const before = await count();
    const pair = pairIn(await get("/new-and-save"));
    expect(await count()).toBe(before + 1);
    expect((await whoami(url, pair)).body.session).toEqual({ userId: "user-3", n: 1 });
  });
});

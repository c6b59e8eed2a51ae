import { Readable } from "node:stream";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Mode } from "../../src/index.js";
import { bearer, MapStore, type RunningApp, startBridgedApp } from "../support/app.js";
import { TestClock } from "../support/clock.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { startFleet } from "../support/fleet.js";
import { cookieName } from "../support/flow.js";
import { hitCounts } from "../support/hit-counts.js";
import { login, pairInBody, refresh, whoami } from "../support/tokens.js";

const source = `koa-session:${cookieName}`;
let database: TestDatabase;
let app: RunningApp;
let clock: TestClock;
let mode: Mode;
beforeEach(async () => {
  database = await testDatabase();
  clock = new TestClock(new Date("2026-03-14T12:00:00Z"));
  mode = "bridge";
  app = await start();
});
afterEach(async () => {
  await app.close();
  await database.drop();
});

const start = (options: Parameters<typeof startBridgedApp>[1] = {}) =>
  startBridgedApp(database.pool, { clock: clock.now, mode: () => mode, ...options });

async function counted(): Promise<Record<string, number>> {
  await app.bridge.status();
  return hitCounts(database.pool);
}

test("what becomes of a presented cookie is counted by outcome", async () => {
  const { browser, pair } = await login(app);
  await browser.get("/whoami");
  await browser.get("/whoami");
  await browser.get("/whoami", bearer(pair.accessToken));
  clock.advance(86_401);
  await browser.get("/whoami");

  const forged = browser.clone();
  forged.cookies.set(`${cookieName}.sig`, "not-a-signature-at-all-really");
  await forged.get("/whoami");

  const { browser: leaver } = await login(app);
  const stale = leaver.clone();
  await leaver.get("/logout");
  await stale.get("/whoami");

  const { browser: late } = await login(app);
  mode = "tokens";
  await late.clone().get("/whoami");

  expect(await counted()).toMatchInlineSnapshot(`
    {
      "adoptions koa-session:koa.sess": 1,
      "legacy_cookies koa-session:koa.sess dropped": 1,
      "legacy_cookies koa-session:koa.sess hit": 3,
      "legacy_cookies koa-session:koa.sess missed": 1,
      "legacy_cookies koa-session:koa.sess redundant": 1,
      "legacy_cookies koa-session:koa.sess retired": 1,
      "legacy_cookies koa-session:koa.sess unverified": 1,
      "offers koa-session:koa.sess": 5,
      "requests bridge bearer": 1,
      "requests bridge legacy": 6,
      "requests bridge none": 3,
      "requests tokens none": 1,
      "upgrades koa-session:koa.sess": 3,
    }
  `);
});

test("what becomes of tokens is counted by result and reason", async () => {
  const { pair } = await login(app);
  const first = pairInBody(await refresh(app.url, pair.refreshToken));
  await refresh(app.url, pair.refreshToken);
  await refresh(app.url, "no.token.at-all");
  const other = await app.bridge.sessions.create({ userId: "user-2" });
  clock.advance(20);
  // Later than the grace period: somebody has stolen it.
  await refresh(app.url, pair.refreshToken);
  await refresh(app.url, first.refreshToken);
  await whoami(app.url, first);
  await whoami(app.url, { accessToken: "no.token.at-all", refreshToken: "" });
  clock.advance(31 * 86_400);
  await whoami(app.url, other);
  await refresh(app.url, other.refreshToken);

  expect(await counted()).toMatchInlineSnapshot(`
    {
      "adoptions koa-session:koa.sess": 1,
      "offers koa-session:koa.sess": 1,
      "refreshes ended": 1,
      "refreshes expired": 1,
      "refreshes repeated": 1,
      "refreshes reused": 1,
      "refreshes rotated": 1,
      "refreshes unverified": 1,
      "refusals invalid-token": 7,
      "refused_tokens ended": 1,
      "refused_tokens expired": 1,
      "refused_tokens unverified": 1,
      "requests bridge invalid": 3,
      "requests bridge none": 1,
      "requests bridge refresh": 6,
      "upgrades koa-session:koa.sess": 1,
    }
  `);
});

test("a merged conflict, and a failure beside the request, are counted", async () => {
  const { accessToken } = await app.bridge.sessions.create({ userId: "user-1" });
  await app.close();
  let go: () => void = () => undefined;
  const both = new Promise<void>((resolve) => (go = resolve));
  let waiting = 0;
  const change = (name: string) => async (ctx: { session: Record<string, unknown> }) => {
    ctx.session[name] = true;
    if ((waiting += 1) === 2) go();
    await both;
  };
  app = await start({
    handlers: { "/one": change("one"), "/two": change("two") },
    labels: () => {
      throw new Error("labels are broken");
    },
  });
  await Promise.all(["/one", "/two"].map((path) => app.browser().get(path, bearer(accessToken))));
  const { browser } = await login(app);
  await browser.get("/whoami");
  expect(await counted()).toMatchObject({ merged_commits: 1, errors: 1 });
});

test("counts are of the day, in UTC, on which they happened", async () => {
  clock.advance(11 * 3600 + 59 * 60);
  await app.browser().get("/whoami");
  clock.advance(120);
  await app.browser().get("/whoami");
  await app.browser().get("/whoami");
  await app.bridge.status();
  const { rows } = await database.pool.query(
    `select "day"::text as "day", "count"::int as "count" from "sessionBridgeHit" order by 1`,
  );
  expect(rows).toEqual([
    { day: "2026-03-14", count: 1 },
    { day: "2026-03-15", count: 2 },
  ]);
});

test("requests whose handler fails, or streams, or whose client goes away, are counted once", async () => {
  await app.close();
  let arrived: () => void = () => undefined;
  const arrival = new Promise<void>((resolve) => (arrived = resolve));
  let goOn: () => void = () => undefined;
  const gone = new Promise<void>((resolve) => (goOn = resolve));
  app = await start({
    handlers: {
      "/stream": (ctx) => {
        ctx.body = Readable.from(["text"]);
      },
      "/wait": async () => {
        arrived();
        await gone;
      },
    },
  });
  expect((await app.browser().get("/throw")).status).toBe(500);
  expect((await app.browser().get("/stream")).body).toBe("text");
  const giveUp = new AbortController();
  const aborted = app.browser().get("/wait", { signal: giveUp.signal });
  await arrival;
  giveUp.abort();
  await expect(aborted).rejects.toThrow();
  goOn();
  await expect.poll(counted).toMatchObject({ "requests bridge none": 3 });
});

test("a listener that throws costs neither the request nor the count", async () => {
  for (const name of ["request", "legacy-cookie", "legacy-hit", "upgraded", "offered"] as const) {
    app.bridge.on(name, () => {
      throw new Error(`the listener of ${name} is broken`);
    });
  }
  const warned: unknown[] = [];
  const warn = (warning: unknown) => warned.push(warning);
  process.on("warning", warn);
  const { browser } = await login(app);
  expect((await browser.get("/whoami")).body.session.userId).toBe("user-1");
  await expect.poll(() => warned.length).toBeGreaterThan(0);
  process.off("warning", warn);
  expect(await counted()).toMatchObject({
    "requests bridge none": 1,
    "requests bridge legacy": 1,
    [`legacy_cookies ${source} hit`]: 1,
    [`upgrades ${source}`]: 1,
  });
});

test("closing adds what is left, once", async () => {
  await app.browser().get("/whoami");
  await Promise.all([app.bridge.close(), app.bridge.close()]);
  await app.bridge.close();
  expect(await hitCounts(database.pool)).toEqual({ "requests bridge none": 1 });
});

test("a status asked for while counts are under way has all that came before it", async () => {
  const store = new MapStore();
  await app.close();
  app = await start({ config: { store } });
  for (let asked = 1; asked <= 20; asked += 1) {
    const flushing = app.bridge.status();
    await app.browser().get("/whoami");
    const [{ requests }] = await Promise.all([app.bridge.status(), flushing]);
    expect(requests.none).toBe(asked);
  }
});

test("a process that has served no request is none of the fleet, though it asks for the status", async () => {
  expect((await app.bridge.status()).processes).toEqual([]);
  await app.browser().get("/whoami");
  expect((await app.bridge.status()).processes).toHaveLength(1);
});

test("requests are counted by the mode they were served in, with the credential they presented", async () => {
  const { browser, pair } = await login(app);
  const modes: Mode[] = ["observe", "bridge", "drain", "tokens"];
  for (mode of modes) {
    await app.browser().get("/untouched");
    await browser.clone().get("/untouched");
    await whoami(app.url, pair);
    await app.browser().get("/whoami", bearer("not-a-token"));
    await refresh(app.url, "not-a-token");
  }
  const requests = Object.entries(await counted()).filter(([name]) => name.startsWith("requests"));
  const each = (of: Mode) =>
    ["bearer", "invalid", "legacy", "none", "refresh"].map((credential) => {
      const served = credential === "none" && of === "tokens" ? 2 : 1;
      return [`requests ${of} ${credential}`, served] as const;
    });
  expect(Object.fromEntries(requests)).toEqual({
    ...Object.fromEntries(
      modes.flatMap(each).filter(([name]) => name !== "requests tokens legacy"),
    ),
    // The login.
    "requests bridge none": 2,
  });
});

test("the counts of several processes add up, also of those that are told to end at once", async () => {
  const fleet = await startFleet(database, 3);
  try {
    for (const [index, baseUrl] of fleet.baseUrls.entries()) {
      for (let request = 0; request < 10 * (index + 1); request += 1) {
        await app.browser().clone({ baseUrl }).get("/untouched");
      }
    }
    await Promise.all([0, 1, 2].map((index) => fleet.kill(index, "SIGTERM")));
    expect(await hitCounts(database.pool)).toEqual({ "requests bridge none": 60 });
  } finally {
    await fleet.close();
  }
}, 30_000);

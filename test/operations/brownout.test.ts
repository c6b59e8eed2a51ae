import { afterEach, beforeEach, expect, test } from "vitest";
import type { Brownout } from "../../src/brownout.js";
import { koaSession } from "../../src/index.js";
import { createDatabase } from "../../src/store/database.js";
import { changeMode } from "../../src/store/mode-log.js";
import { bearer, MapStore, type RunningApp, startBridgedApp, tokensOf } from "../support/app.js";
import type { Browser } from "../support/client.js";
import { TestClock } from "../support/clock.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { flagInDatabase } from "../support/fleet.js";
import { cookieName } from "../support/flow.js";
import { hitCounts } from "../support/hit-counts.js";
import { login, whoami } from "../support/tokens.js";
import { session } from "../support/versions.js";

const startsAt = new Date("2026-03-14T12:00:00Z");
const brownout: Brownout = {
  id: "rehearsal",
  share: 0.2,
  everyInSeconds: null,
  forInSeconds: null,
  startsAt,
  until: null,
};
const at = (seconds: number) => new Date(startsAt.getTime() + seconds * 1000);
let database: TestDatabase;
let app: RunningApp;
let clock: TestClock;
beforeEach(async () => {
  database = await testDatabase();
  clock = new TestClock(startsAt);
});
afterEach(async () => {
  await app.close();
  await database.drop();
});

async function set(change: Partial<Brownout> | null): Promise<void> {
  const db = createDatabase({
    pool: database.pool,
    preparedStatements: false,
    clock: clock.now,
    generateId: () => crypto.randomUUID(),
  });
  const value = change === null ? null : { ...brownout, share: 1, ...change };
  await changeMode(db, { brownout: value, defaultMode: "bridge", by: "the test" });
}

async function start(options: Parameters<typeof startBridgedApp>[1] = {}): Promise<void> {
  app = await startBridgedApp(database.pool, { ...flagInDatabase, clock: clock.now, ...options });
}

const isLoggedIn = async (browser: Browser) => {
  const response = await browser.get("/whoami");
  expect(response.status).toBe(200);
  expect(response.setCookie).toEqual([]);
  return response.body.session?.userId === "user-1";
};

const becomes = (browser: Browser, loggedIn: boolean) =>
  expect.poll(() => isLoggedIn(browser), { timeout: 4000 }).toBe(loggedIn);

async function counted(): Promise<Record<string, number>> {
  await app.bridge.status();
  return hitCounts(database.pool);
}

const source = `koa-session:${cookieName}`;

for (const kind of ["store", "cookie"] as const) {
  test(`a session with its data in the ${kind} is refused for the time being, and no more`, async () => {
    await start({ config: kind === "store" ? { store: new MapStore() } : {} });
    const { browser, pair } = await login(app);
    clock.advance(5);
    expect(await isLoggedIn(browser)).toBe(true);
    const cookies = new Map(browser.cookies);

    await set({});
    await becomes(browser, false);
    const before = await counted();
    expect(await isLoggedIn(browser)).toBe(false);
    const after = await counted();
    expect(after[`brownouts ${source}`]).toBe(before[`brownouts ${source}`]! + 1);
    expect(after[`legacy_cookies ${source} hit`]).toBe(before[`legacy_cookies ${source} hit`]);
    expect(after[`legacy_cookies ${source} dropped`]).toBeUndefined();
    expect(after["requests bridge none"]).toBe(before["requests bridge none"]! + 1);

    // A token beside the cookie, and no credential at all, are untouched.
    expect((await browser.get("/whoami", bearer(pair.accessToken))).body.session.userId).toBe(
      "user-1",
    );
    expect((await whoami(app.url, pair)).body.session.userId).toBe("user-1");
    expect((await app.browser().get("/untouched")).status).toBe(200);
    expect(await counted()).toMatchObject({
      [`brownouts ${source}`]: after[`brownouts ${source}`],
      [`legacy_cookies ${source} redundant`]: 1,
    });

    await set(null);
    await becomes(browser, true);
    expect(browser.cookies).toEqual(cookies);
  });
}

test("a data cookie without an id meets the same end at every request of a window", async () => {
  await start({ config: {}, mode: "observe" });
  const browsers = Array.from({ length: 12 }, () => app.browser());
  for (const browser of browsers) await browser.get(`/set?userId=user-1&nonce=${Math.random()}`);
  await set({ share: 0.5, everyInSeconds: 3600, forInSeconds: 1800 });
  const state = () => Promise.all(browsers.map(isLoggedIn));
  await expect.poll(async () => (await state()).includes(false), { timeout: 4000 }).toBe(true);
  const first = await state();
  expect(first).toContain(true);
  for (let time = 0; time < 3; time += 1) expect(await state()).toEqual(first);
  clock.advance(1800);
  expect(await state()).not.toContain(false);
  clock.advance(1800);
  expect(await state()).not.toEqual(first);
});

test("windows, a mode from a function, and a cookie that nobody signed", async () => {
  await start({ mode: () => "observe" });
  const browser = app.browser();
  await browser.get("/login");
  await set({ everyInSeconds: 3600, forInSeconds: 300, until: at(4000) });
  await becomes(browser, false);
  clock.advance(300);
  expect(await isLoggedIn(browser)).toBe(true);
  clock.advance(3300);
  expect(await isLoggedIn(browser)).toBe(false);
  clock.advance(400);
  expect(await isLoggedIn(browser)).toBe(true);

  await set({ startsAt: at(4000) });
  await becomes(browser, false);
  const forged = browser.clone();
  forged.cookies.set(`${cookieName}.sig`, "not-a-signature-at-all-really");
  const before = await counted();
  await forged.get("/untouched");
  const after = await counted();
  expect(after[`brownouts ${source}`]).toBe(before[`brownouts ${source}`]);
  expect(after[`legacy_cookies ${source} unverified`]).toBe(1);
});

test("of several cookies each is counted, and each works again", async () => {
  const legacy = [
    koaSession(session, { key: "one.sess", store: new MapStore() }),
    koaSession(session, { key: "two.sess", store: new MapStore() }),
  ];
  await start({ legacy });
  const browser = app.browser();
  await browser.get("/login");
  const second = await startBridgedApp(database.pool, { legacy: legacy[1]!, clock: clock.now });
  await browser.clone({ shared: true, baseUrl: second.url }).get("/login");
  await second.close();
  expect([...browser.cookies.keys()].filter((name) => !name.endsWith(".sig"))).toHaveLength(2);
  await set({});
  await becomes(browser, false);
  const counts = await counted();
  expect(counts["brownouts koa-session:one.sess"]).toBe(counts["brownouts koa-session:two.sess"]);
  await set(null);
  await becomes(browser, true);
});

test("the status tells of it, and counts whom it met among the stragglers", async () => {
  await start({ labels: () => ({ client: "old" }) });
  const { browser } = await login(app);
  await set({ until: at(600) });
  await becomes(browser, false);
  const status = await app.bridge.status();
  expect(status.brownout).toMatchObject({ id: "rehearsal", share: 1, isOn: true });
  expect(status.days.at(-1)?.legacy).toBe(
    status.brownouts[source]! + status.legacyCookies[source]!.hit,
  );
  expect(status.stragglers[0]).toMatchObject({ source, labels: { client: "old" } });
  clock.advance(600);
  expect((await app.bridge.status()).brownout).toBeNull();
});

for (const kind of ["store", "cookie"] as const) {
  test(`whoever logs out in it stays logged out, with the data in the ${kind}`, async () => {
    await start({ config: kind === "store" ? { store: new MapStore() } : {} });
    const { browser, pair } = await login(app);
    clock.advance(5);
    const copy = browser.clone();
    const other = (await login(app)).browser;
    await set({});
    await becomes(browser, false);
    const response = await browser.get("/logout");
    expect(response.setCookie.join()).toContain(`${cookieName}=;`);
    await set(null);
    await becomes(other, true);
    for (const each of [browser, copy]) expect((await each.get("/whoami")).body.isNew).toBe(true);
    expect((await browser.get("/whoami", bearer(pair.accessToken))).status).toBe(401);
  });
}

for (const kind of ["store", "cookie"] as const) {
  test(`who logs in anew in it leaves for good by the new tokens, with the data in the ${kind}`, async () => {
    await start({ config: kind === "store" ? { store: new MapStore() } : {} });
    const { browser } = await login(app);
    const other = (await login(app)).browser;
    clock.advance(5);
    await set({});
    await becomes(browser, false);
    const { accessToken } = tokensOf(await browser.get("/login?user=user-2"));
    await set(null);
    await becomes(other, true);
    const copy = browser.clone();
    const response = await browser.get("/logout", bearer(accessToken));
    expect(response.setCookie.join()).toContain(`${cookieName}=;`);
    for (const each of [browser, copy]) expect((await each.get("/whoami")).body.isNew).toBe(true);
    expect(await isLoggedIn(other)).toBe(true);
  });
}

test("once cookies are refused for good, a logout by token clears those beside it and asks no old store", async () => {
  const store = new MapStore();
  await start({ config: { store }, mode: "observe" });
  const browser = app.browser();
  await browser.get("/login");
  const { accessToken } = await app.bridge.sessions.create({ userId: "user-2" });
  await app.close();
  const gone = { get: () => new Promise(() => undefined), set: () => {}, destroy: () => {} };
  await start({ config: { store: gone }, mode: "tokens" });
  const on = browser.clone({ baseUrl: app.url });
  const response = await on.get("/logout", bearer(accessToken));
  expect(response.setCookie.join()).toContain(`${cookieName}=;`);
  expect((await on.get("/untouched", bearer(accessToken))).status).toBe(401);
});

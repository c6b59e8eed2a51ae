import type { Context } from "koa";
import { expect, it } from "vitest";
import { type SessionBridgeOptions } from "../../src/index.js";
import type { Mode } from "../../src/mode.js";
import { bearer, MapStore, type RunningApp, startBridgedApp } from "../support/app.js";
import { dashboardTests, path } from "../support/dashboard-operator.js";
import { flagInDatabase } from "../support/fleet.js";
import { hitCounts } from "../support/hit-counts.js";

const world = dashboardTests();
const store = new MapStore();

/** The application with the page behind the bridge, for whoever has a session. */
async function start(options: Partial<SessionBridgeOptions> = {}): Promise<RunningApp> {
  const serve = (ctx: Context) => page(ctx, () => Promise.resolve());
  const app = await startBridgedApp(world.database.pool, {
    ...flagInDatabase,
    clock: world.clock.now,
    config: { store },
    handlers: { [path]: serve, [`${path}/`]: serve },
    ...options,
  });
  const page = app.bridge.dashboard({ authorize: (ctx) => ctx["session"]?.userId as string });
  world.running.push(app);
  return app;
}

async function counted(app: RunningApp): Promise<Record<string, number>> {
  await app.bridge.status();
  const counts = Object.entries(await hitCounts(world.database.pool));
  return Object.fromEntries(
    counts.filter(([name]) => /^(requests|legacy_cookies|brownouts) /.test(name)),
  );
}

it.each<Mode>(["observe", "bridge", "drain", "tokens"])(
  "whoever watches the numbers in %s is not among them",
  async (mode) => {
    const browser = (await start({ mode: "bridge" })).browser();
    await browser.get("/login");
    const app = await start({ mode });
    const { accessToken } = await app.bridge.sessions.create({ userId: "user-2" });
    const told: string[] = [];
    for (const event of ["request", "legacy-cookie", "legacy-hit"] as const) {
      app.bridge.on(event, () => told.push(event));
    }
    const before = await counted(app);
    const statuses = [];
    for (const target of [path, `${path}?fragment`, `${path}/`]) {
      for (const options of [{}, bearer(accessToken), bearer("forged")]) {
        const watcher = browser.clone({ baseUrl: app.url });
        statuses.push((await watcher.get(target, options)).status);
      }
      statuses.push((await app.browser().get(target)).status);
    }
    // The session is there as everywhere.
    const byCookie = mode === "tokens" ? 403 : 200;
    const once = [byCookie, 200, 401, 403];
    expect(statuses).toEqual([...once, ...once, ...once]);
    expect(told).toEqual([]);
    expect(await counted(app)).toEqual(before);
    await browser.clone({ baseUrl: app.url }).get(`${path}s`);
    expect(told).toContain("request");
    expect(told).toContain("legacy-cookie");
  },
);

it("a brownout keeps no operator out, and does not count one", async () => {
  const app = await start();
  const browser = app.browser();
  await browser.get("/login");
  const brownout = { id: "all", share: 1, startsAt: world.clock.now() };
  await world.database.pool.query(
    `insert into "sessionBridgeMode" ("mode", "brownout", "changedAt", "changedBy")
    values ('bridge', $1::jsonb, $2, 'jonas')`,
    [JSON.stringify(brownout), world.clock.now()],
  );
  const isOut = async () => (await browser.get("/whoami")).body.isNew as boolean;
  await expect.poll(isOut, { timeout: 4000 }).toBe(true);
  const before = await counted(app);
  const page = await browser.get(path);
  expect(page.status).toBe(200);
  expect(page.body).toContain("A brownout is on.");
  expect(await counted(app)).toEqual(before);
  expect(await isOut()).toBe(true);
});

import pg from "pg";
import { describe, expect, test } from "vitest";
import { koaSessionSystem } from "../support/systems/koa-session.js";
import { ListedStore } from "../support/systems/listed-stores.js";
import { flowsOfTest } from "../support/systems/system-flow.js";

const startFlow = flowsOfTest();

test("a process that only backfills is not one of the fleet, until it serves a request", async () => {
  const flow = await startFlow(koaSessionSystem("7"), { options: { store: new ListedStore() } });
  await flow.loginBefore("ada");
  const app = await flow.bridged();
  await app.bridge.backfill();
  const status = await app.bridge.status();
  expect([status.upgraded, status.processes]).toEqual([1, []]);
  const { rows } = await flow.database.pool.query(`select "about" from "sessionBridgeProcess"`);
  expect(rows).toMatchObject([{ about: { servesRequests: false } }]);
  await app.browser().get("/whoami");
  expect((await app.bridge.status()).processes).toHaveLength(1);
});

describe("It is refused", () => {
  test("in mode observe, and while a process of the fleet is in it", async () => {
    const store = new ListedStore();
    const flow = await startFlow(koaSessionSystem("7"), { options: { store } });
    await flow.loginBefore("ada");
    const refused = await flow.bridged({ mode: "observe" });
    await expect(refused.bridge.backfill()).rejects.toMatchObject({ code: "issuing-disabled" });
    // Who was refused must not keep the next one from it.
    await refused.bridge.close();
    const fleet = await flow.database.pool.query(`select from "sessionBridgeProcess"`);
    expect(fleet.rows).toEqual([]);

    const observing = await flow.bridged({ mode: "observe" });
    const app = await flow.bridged();
    await observing.browser().get("/whoami");
    await observing.bridge.status();
    await expect(app.bridge.backfill()).rejects.toMatchObject({
      code: "issuing-disabled",
      cause: { message: expect.stringContaining(`Process ${process.pid} on `) as string },
    });
    expect(await flow.loggedIn()).toBe(0);
    const counted = await app.bridge.backfill({ isDryRun: true });
    expect(counted).toMatchObject({ "koa-session:koa.sess": { found: 1 } });

    // One that has said that it ends is not waited for.
    await observing.bridge.close();
    const done = await app.bridge.backfill();
    expect(done).toMatchObject({ "koa-session:koa.sess": { upgraded: 1 } });
  });

  test("for options that are wrong, all of them at once", async () => {
    const flow = await startFlow(koaSessionSystem("7"));
    const app = await flow.bridged();
    const wrong = { ratePerSecond: 0, concurrency: 1.5, source: "none", rate: 1 };
    await expect(app.bridge.backfill(wrong)).rejects.toThrow(
      /4 invalid options[\s\S]*rate:[\s\S]*ratePerSecond[\s\S]*concurrency[\s\S]*source: must be one of koa-session:koa\.sess/,
    );
  });

  test("while PostgreSQL is away", async () => {
    const store = new ListedStore();
    const flow = await startFlow(koaSessionSystem("7"), { options: { store } });
    store.entries.set("1", { userId: "ada" });
    const pool = new pg.Pool({ connectionString: "postgres://nobody@127.0.0.1:1/nothing" });
    const app = await flow.bridged({ pool });
    await expect(app.bridge.backfill()).rejects.toMatchObject({ code: "store-unavailable" });
    await app.bridge.close();
    await pool.end();
  });
});

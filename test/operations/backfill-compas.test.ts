import pg from "pg";
import { expect, test } from "vitest";
import { compasLegacyStore } from "../../src/index.js";
import { startBridgedApp } from "../support/app.js";
import { compasSystem } from "../support/systems/compas.js";
import { koaSessionSystem } from "../support/systems/koa-session.js";
import { flowsOfTest } from "../support/systems/system-flow.js";

const startFlow = flowsOfTest();
const none = { already: 0, gone: 0, failed: 0, notUpgradable: 0 };

test("Compas's store is listed under koa-session as well", async () => {
  const flow = await startFlow(compasSystem());
  const store = compasLegacyStore(flow.database.pool);
  const expiresAt = Date.now() + 60_000;
  const session = { userId: "ada", _expire: expiresAt, _maxAge: 60_000 };
  await store.set(crypto.randomUUID(), session, 60_000);
  await store.set(crypto.randomUUID(), session, -1);
  const app = await startBridgedApp(flow.database.pool, { config: { store, key: "old" } });
  try {
    expect(await app.bridge.backfill()).toEqual({
      "koa-session:old": { found: 1, upgraded: 1, ...none },
    });
  } finally {
    await app.close();
  }
});

test("Compas's table is listed in a database of its own", async () => {
  const flow = await startFlow(koaSessionSystem("7"));
  const theirs = await startFlow(compasSystem());
  const pool = new pg.Pool({ connectionString: theirs.database.url, max: 2 });
  const old = await theirs.loginBefore("ada");
  const app = await flow.bridged({
    ...theirs.application.bridged,
    legacy: compasSystem().on(pool).source(),
  });
  expect(await app.bridge.backfill()).toMatchObject({ "compas:oldapp.sess": { upgraded: 1 } });
  expect(await flow.loggedIn()).toBe(1);
  const opened = await old.clone({ baseUrl: app.url }).get("/count");
  expect(opened.body.session).toEqual({ userId: "ada", count: 1 });
  expect(await theirs.application.rows()).toMatchObject([{ data: { count: 1 } }]);
  await pool.end();
});

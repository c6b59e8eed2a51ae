import { expect, it } from "vitest";
import { as, dashboardTests, path } from "../support/dashboard-operator.js";

const world = dashboardTests();

it("names what a client has left empty", async () => {
  await world.database.pool.query(
    `insert into "sessionBridgeHit" values ($1::date, 'legacy_cookies', 'old', 'hit', '{"client":""}', 5)`,
    [world.clock.now().toISOString().slice(0, 10)],
  );
  const { body } = await as(await world.start()).get(path);
  expect(body).toContain('<span class="label"><span>client</span> <em>(empty)</em></span>');
});

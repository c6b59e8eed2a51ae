import { expect, it } from "vitest";
import { MapStore } from "../support/app.js";
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

it("says of which cookies it shows the last end", async () => {
  const app = await world.start({
    config: { store: new MapStore(), maxAge: 86_400_000 },
  });
  const browser = as(app);
  const tile = async () => {
    world.clock.advance(3);
    const { body } = await browser.get(path);
    return /<dt>([^<]*)<\/dt><dd>[^<]*<\/dd><dd class="quiet">([^<]*)<\/dd><\/div>\s*<\/dl>/
      .exec(String(body))
      ?.slice(1);
  };
  expect(await tile()).toEqual(["Last cookie ends", "none, or not known"]);
  await app.browser().get("/login");
  expect(await tile()).toEqual(["Cookies may come until", "those that have not come back"]);
  const ends = new Date(world.clock.now().getTime() + 9 * 86_400_000);
  await world.database.pool.query(`update "sessionBridgeLink" set "expiresAt" = $1`, [ends]);
  expect(await tile()).toEqual(["Last cookie ends", "that tokens have not replaced"]);
});

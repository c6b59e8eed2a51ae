import { describe, expect, it } from "vitest";
import { chart } from "../../src/monitor/dashboard/chart.js";
import { styles } from "../../src/monitor/dashboard/styles.js";
import { koaSession, sessionBridge } from "../../src/index.js";
import { MapStore, signingKeys } from "../support/app.js";
import type { BrowserResponse } from "../support/client.js";
import { startDashboardApp } from "../support/dashboard-app.js";
import { as, choose, dashboardTests, fieldsOf, path, send } from "../support/dashboard-operator.js";
import { databaseOfItsOwnServer } from "../support/database.js";
import { Koa, session } from "../support/versions.js";

const world = dashboardTests();

describe("who may see it", () => {
  it("wants a function that decides", () => {
    const app = new Koa();
    const bridge = sessionBridge(
      {
        pool: world.database.pool,
        legacy: koaSession(session, { store: new MapStore() }),
        tokens: { signingKeys },
      },
      app,
    );
    const given = { authorise: () => true, prefix: "/bridge/" };
    expect(() => bridge.dashboard(given as never)).toThrow(
      new TypeError(
        `bridge.dashboard: 3 invalid options
  - authorise: unknown option; there are authorize, prefix
  - authorize: must be a function (ctx) => the operator's name, true or false, got undefined
  - prefix: must be a path such as /session-bridge, got a string`,
      ),
    );
    expect(() => bridge.dashboard(undefined as never)).toThrow(TypeError);
  });

  it.each([
    ["nothing", () => undefined],
    ["a promise of false", async () => false],
    ["an empty name", () => ""],
    ["a name of spaces", () => " \n"],
    ["an empty list", () => [] as never],
    ["an object", () => ({}) as never],
    [
      "an error",
      () => {
        throw new Error("the directory is away");
      },
    ],
  ])("refuses whoever authorize gives %s, and tells nothing", async (_, authorize) => {
    const app = await world.start({ authorize });
    for (const response of [
      await app.browser().get(path),
      await app.browser().get(`${path}?fragment`),
      await choose(app.browser(), "drain"),
      await app.browser().request("DELETE", path),
    ]) {
      expect(response.status).toBe(403);
      expect(response.body).toBe("You are not allowed to see this page.");
      expect(response.headers["cache-control"]).toBe("no-store");
    }
    expect(world.database.queries.filter((text) => text.includes("sessionBridgeLink"))).toEqual([]);
  });

  it("tells of what authorize throws", async () => {
    const app = await world.start({ authorize: () => Promise.reject(new Error("directory")) });
    await app.browser().get(path);
    expect(app.bridgeErrors.map(({ message }) => message)).toEqual(["directory"]);
  });

  it("passes every other path on", async () => {
    const app = await world.start({ authorize: () => false });
    for (const other of ["/whoami", `${path}s`, `${path}/more`, "/"]) {
      expect((await app.browser().get(other)).body).toMatchObject({ isNew: true });
    }
    expect((await app.browser().get(`${path}/`)).status).toBe(403);
  });
});

describe("what it answers", () => {
  it("is for nobody's cache, frame or script", async () => {
    const { headers, status, body } = await as(await world.start()).get(path);
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      "cache-control": "no-store",
      "content-type": "text/html; charset=utf-8",
      "cross-origin-resource-policy": "same-origin",
      "referrer-policy": "same-origin",
      "x-content-type-options": "nosniff",
    });
    const policy = String(headers["content-security-policy"]).split("; ");
    expect(policy).toEqual([
      "default-src 'none'",
      expect.stringMatching(/^script-src 'sha256-[\w+/]{43}='$/),
      expect.stringMatching(/^style-src 'sha256-[\w+/]{43}='$/),
      "img-src data:",
      "connect-src 'self'",
      "form-action 'self'",
      "base-uri 'none'",
      "frame-ancestors 'none'",
    ]);
    expect(body).toMatch(/^<!doctype html>\n<html lang="en">/);
    expect(body).not.toMatch(/ (style|on\w+)="/);
  });

  it("answers HEAD like GET, and other methods with 405", async () => {
    const browser = as(await world.start());
    const [head, get] = [await browser.request("HEAD", path), await browser.get(path)];
    expect([head.status, head.body]).toEqual([200, ""]);
    expect(head.headers["content-security-policy"]).toBe(get.headers["content-security-policy"]);
    for (const method of ["PUT", "DELETE", "PATCH", "OPTIONS"]) {
      const { status, headers } = await browser.request(method, path);
      expect([method, status, headers["allow"]]).toEqual([method, 405, "GET, HEAD, POST"]);
    }
  });

  it("tells of a brownout, and of processes in another mode", async () => {
    const app = await world.start();
    const brownout = {
      id: "rehearsal",
      share: 0.125,
      everyInSeconds: 7200,
      forInSeconds: 30,
      startsAt: world.clock.now(),
      until: null,
    };
    await world.database.pool.query(
      `insert into "sessionBridgeMode" ("mode", "brownout", "changedAt", "changedBy")
      values ('bridge', $1::jsonb, $2, 'jonas')`,
      [JSON.stringify(brownout), world.clock.now()],
    );
    await world.database.pool.query(
      `insert into "sessionBridgeProcess" ("id", "flush", "mode", "about", "startedAt", "seenAt")
      values (gen_random_uuid(), 1, 'observe', '{"host":"old-1","modeFrom":"option"}', $1, $1)`,
      [world.clock.now()],
    );
    await app.browser().get("/whoami");
    const textOf = ({ body }: BrowserResponse) => String(body).replace(/<[^>]*>/g, "");
    const page = textOf(await as(app).get(path));
    expect(page).toContain("A brownout is on. It refuses 12.5 % of the cookies");
    expect(page).toContain(", for 30 s every 2 h, from");
    expect(page).toContain("until somebody ends it (rehearsal)");
    expect(page).toContain("1 of 2 live processes is in another mode");
    world.clock.advance(31);
    expect(textOf(await as(app).get(path))).toContain("A brownout is on, and pauses now.");
    const asked = textOf(await choose(as(app), "drain"));
    expect(asked).toContain("2 are alive, of which 1 will not follow");
    expect(asked).toContain("The brownout stays as it is.");
  });

  it("reads the database once for many who look", async () => {
    const app = await world.start();
    await as(app).get(path);
    world.clock.advance(3);
    world.database.statements.reset();
    await Promise.all(Array.from({ length: 8 }, () => as(app).get(`${path}?fragment`)));
    const links = () => world.database.queries.filter((text) => text.includes("sessionBridgeLink"));
    expect(links()).toHaveLength(1);
    world.clock.advance(3);
    await as(app).get(path);
    expect(links()).toHaveLength(2);
  });

  it("escapes what clients and operators have written", async () => {
    const hostile = `<script>alert("1")</script>'&`;
    await world.database.pool.query(
      `insert into "sessionBridgeHit" values ($1::date, 'legacy_cookies', $2, 'hit', $3::jsonb, 5)`,
      [
        world.clock.now().toISOString().slice(0, 10),
        hostile,
        JSON.stringify({ [hostile]: hostile }),
      ],
    );
    await world.database.pool.query(
      `insert into "sessionBridgeMode" ("mode", "changedAt", "changedBy", "reason")
      values ('bridge', now(), $1, $1)`,
      [hostile],
    );
    const browser = as(await world.start({ authorize: () => hostile }));
    const page = String((await browser.get(path)).body);
    const confirm = String((await choose(browser, "drain", hostile)).body);
    const escaped = "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39;&amp;";
    expect(page.split(escaped).length).toBeGreaterThan(5);
    expect(confirm.split(escaped).length).toBeGreaterThan(2);
    expect(`${page}${confirm}`).not.toContain("<script>alert");
  });
});

describe("without the database", () => {
  it("says so, shows what it knew, and loses no choice", async () => {
    const own = await databaseOfItsOwnServer();
    try {
      const app = await startDashboardApp(own.pool, { clock: world.clock.now });
      world.running.push(app);
      const browser = as(app);
      const fields = fieldsOf(await choose(browser, "drain", "why"));
      await own.server.stop();
      world.clock.advance(5);
      const page = await browser.get(path);
      expect(page.status).toBe(503);
      expect(page.body).toContain('role="alert">The session store is unavailable');
      expect(page.body).toContain("These numbers are from");
      expect((await browser.get(`${path}?fragment`)).status).toBe(503);
      const refused = await send(browser, fields);
      expect(refused.status).toBe(503);
      expect(fieldsOf(refused)).toMatchObject({ mode: "drain", reason: "why" });
      const fresh = await startDashboardApp(own.pool, { clock: world.clock.now });
      world.running.push(fresh);
      const chosen = await choose(as(fresh), "drain", "why");
      expect(chosen.status).toBe(503);
      expect(chosen.body).toMatch(/value="drain" required checked/);
      await own.server.start();
      expect((await send(browser, fieldsOf(refused))).status).toBe(303);
    } finally {
      for (const app of world.running.splice(0)) await app.close();
      await own.drop();
    }
  });
});

describe("how it looks", () => {
  const day = (legacy: number, bearer: number) => ({
    day: "2026-11-20",
    hits: {},
    legacy,
    bearer,
    dropped: 0,
  });

  it.each([
    ["nothing at all", []],
    ["one day", [day(3, 4)]],
    ["days without requests", [day(0, 0), day(0, 0)]],
    ["many requests", [day(7_654_321, 1), day(2, 98_765_432)]],
  ])("draws %s within the picture", (_, days) => {
    const picture = chart(days, []).text;
    expect(picture).not.toMatch(/NaN|Infinity|undefined/);
    for (const [, y] of picture.matchAll(/cy="([\d.-]+)"/g)) {
      expect(Number(y)).toBeGreaterThanOrEqual(0);
      expect(Number(y)).toBeLessThanOrEqual(250);
    }
  });

  it.each(["light", "dark"])("has enough contrast in %s (WCAG AA)", (scheme) => {
    const [light = "", dark = ""] = [...styles.matchAll(/:root \{([^}]+)\}/g)].map(
      ([, css]) => css,
    );
    const colours = new Map(
      [...(scheme === "light" ? light : dark).matchAll(/--([\w-]+): #(\w{6})/g)].map(
        ([, name = "", hex = ""]) => [name, hex],
      ),
    );
    const pairs: [string, string][] = [
      ...["text", "quiet", "token", "legacy", "dropped", "good", "wait", "bad"].map(
        (name): [string, string] => [name, "card"],
      ),
      ...["text", "quiet", "bad"].map((name): [string, string] => [name, "ground"]),
      ["good", "good-ground"],
      ["text", "wait-ground"],
      ["wait", "wait-ground"],
      ["bad", "bad-ground"],
      ["on-strong", "token"],
      ["on-strong", "bad"],
    ];
    for (const [front, back] of pairs) {
      const ratio = contrast(colours.get(front), colours.get(back));
      expect([front, back, ratio >= 4.5]).toEqual([front, back, true]);
    }
  });
});

function contrast(one = "", other = ""): number {
  const luminance = (hex: string) => {
    const [red = 0, green = 0, blue = 0] = [0, 2, 4].map((at) => {
      const part = parseInt(hex.slice(at, at + 2), 16) / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

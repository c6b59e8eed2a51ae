import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { chart } from "../../src/monitor/dashboard/chart.js";
import { styles } from "../../src/monitor/dashboard/styles.js";
import { koaSession, type SessionBridgeOptions, sessionBridge } from "../../src/index.js";
import { MapStore, type RunningApp, signingKeys } from "../support/app.js";
import type { Browser, BrowserResponse } from "../support/client.js";
import { TestClock } from "../support/clock.js";
import { startDashboardApp } from "../support/dashboard-app.js";
import { databaseOfItsOwnServer, type TestDatabase, testDatabase } from "../support/database.js";
import { Koa, session } from "../support/versions.js";

const path = "/session-bridge";
const fromPage = { "sec-fetch-site": "same-origin" };

let database: TestDatabase;
let clock: TestClock;
const running: RunningApp[] = [];

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  clock = new TestClock();
  await database.pool.query(
    `truncate "sessionBridgeMode", "sessionBridgeHit", "sessionBridgeProcess"`,
  );
});
afterEach(async () => {
  for (const app of running.splice(0)) await app.close();
});

async function start(options: Parameters<typeof startDashboardApp>[1] = {}): Promise<RunningApp> {
  const app = await startDashboardApp(database.pool, { clock: clock.now, ...options });
  running.push(app);
  return app;
}

function as(app: RunningApp, operator = "alice"): Browser {
  const browser = app.browser();
  browser.cookies.set("operator", operator);
  return browser;
}

const send = (browser: Browser, fields: Record<string, string>, headers: object = fromPage) =>
  browser.post(path, {
    body: new URLSearchParams(fields).toString(),
    headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
  });

const choose = (browser: Browser, mode: string, reason = "", headers?: object) =>
  send(browser, { step: "choose", mode, reason }, headers);

/** The fields of the form on the page that asks. */
function fieldsOf({ body }: BrowserResponse): Record<string, string> {
  const inputs = String(body).matchAll(/type="hidden" name="(\w+)" value="([^"]*)"/g);
  return Object.fromEntries([...inputs].map(([, name, value]) => [name, value]));
}

async function changes(): Promise<unknown[]> {
  const { rows } = await database.pool.query(
    `select "mode", "changedBy", "reason" from "sessionBridgeMode" order by "id"`,
  );
  return rows;
}

describe("who may see it", () => {
  it("wants a function that decides", () => {
    const app = new Koa();
    const bridge = sessionBridge(
      {
        pool: database.pool,
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
    [
      "an error",
      () => {
        throw new Error("the directory is away");
      },
    ],
  ])("refuses whoever authorize gives %s, and tells nothing", async (_, authorize) => {
    const app = await start({ authorize });
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
    expect(database.queries.filter((text) => text.includes("sessionBridgeLink"))).toEqual([]);
  });

  it("tells of what authorize throws", async () => {
    const app = await start({ authorize: () => Promise.reject(new Error("directory")) });
    await app.browser().get(path);
    expect(app.bridgeErrors.map(({ message }) => message)).toEqual(["directory"]);
  });

  it("passes every other path on", async () => {
    const app = await start({ authorize: () => false });
    for (const other of ["/whoami", `${path}s`, `${path}/more`, "/"]) {
      expect((await app.browser().get(other)).body).toMatchObject({ isNew: true });
    }
    expect((await app.browser().get(`${path}/`)).status).toBe(403);
  });
});

describe("what it answers", () => {
  it("is for nobody's cache, frame or script", async () => {
    const { headers, status, body } = await as(await start()).get(path);
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
    const browser = as(await start());
    const [head, get] = [await browser.request("HEAD", path), await browser.get(path)];
    expect([head.status, head.body]).toEqual([200, ""]);
    expect(head.headers["content-security-policy"]).toBe(get.headers["content-security-policy"]);
    for (const method of ["PUT", "DELETE", "PATCH", "OPTIONS"]) {
      const { status, headers } = await browser.request(method, path);
      expect([method, status, headers["allow"]]).toEqual([method, 405, "GET, HEAD, POST"]);
    }
  });

  it("tells of a brownout, and of processes in another mode", async () => {
    const app = await start();
    const brownout = {
      id: "rehearsal",
      share: 0.125,
      everyInSeconds: 7200,
      forInSeconds: 30,
      startsAt: clock.now(),
      until: null,
    };
    await database.pool.query(
      `insert into "sessionBridgeMode" ("mode", "brownout", "changedAt", "changedBy")
      values ('bridge', $1::jsonb, $2, 'jonas')`,
      [JSON.stringify(brownout), clock.now()],
    );
    await database.pool.query(
      `insert into "sessionBridgeProcess" ("id", "flush", "mode", "about", "startedAt", "seenAt")
      values (gen_random_uuid(), 1, 'observe', '{"host":"old-1","modeFrom":"option"}', $1, $1)`,
      [clock.now()],
    );
    const textOf = ({ body }: BrowserResponse) => String(body).replace(/<[^>]*>/g, "");
    const page = textOf(await as(app).get(path));
    expect(page).toContain("A brownout is on. It refuses 12.5 % of the cookies");
    expect(page).toContain(", for 30 s every 2 h, from");
    expect(page).toContain("until somebody ends it (rehearsal)");
    expect(page).toContain("1 of 2 live processes is in another mode");
    clock.advance(31);
    expect(textOf(await as(app).get(path))).toContain("A brownout is on, and pauses now.");
    const asked = textOf(await choose(as(app), "drain"));
    expect(asked).toContain("2 are alive, of which 1 will not follow");
    expect(asked).toContain("The brownout stays as it is.");
  });

  it("reads the database once for many who look", async () => {
    const app = await start();
    await as(app).get(path);
    clock.advance(3);
    database.statements.reset();
    await Promise.all(Array.from({ length: 8 }, () => as(app).get(`${path}?fragment`)));
    const links = () => database.queries.filter((text) => text.includes("sessionBridgeLink"));
    expect(links()).toHaveLength(1);
    clock.advance(3);
    await as(app).get(path);
    expect(links()).toHaveLength(2);
  });

  it("escapes what clients and operators have written", async () => {
    const hostile = `<script>alert("1")</script>'&`;
    await database.pool.query(
      `insert into "sessionBridgeHit" values ($1::date, 'legacy_cookies', $2, 'hit', $3::jsonb, 5)`,
      [clock.now().toISOString().slice(0, 10), hostile, JSON.stringify({ [hostile]: hostile })],
    );
    await database.pool.query(
      `insert into "sessionBridgeMode" ("mode", "changedAt", "changedBy", "reason")
      values ('bridge', now(), $1, $1)`,
      [hostile],
    );
    const browser = as(await start({ authorize: () => hostile }));
    const page = String((await browser.get(path)).body);
    const confirm = String((await choose(browser, "drain", hostile)).body);
    const escaped = "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39;&amp;";
    expect(page.split(escaped).length).toBeGreaterThan(5);
    expect(confirm.split(escaped).length).toBeGreaterThan(2);
    expect(`${page}${confirm}`).not.toContain("<script>alert");
  });
});

describe("changing the mode", () => {
  it("asks, then changes it, notes who and why, and says so", async () => {
    const app = await start();
    const browser = as(app);
    const asked = await choose(browser, "drain", "  small\nenough ");
    expect(asked.status).toBe(200);
    expect(asked.body).toContain("Change the mode from <em>bridge</em> to <em>drain</em>?");
    expect(asked.body).toContain("New sessions get tokens and no cookie");
    expect(asked.body).toContain("The verdict is “not yet”");
    expect(await changes()).toEqual([]);
    const flipped = await send(browser, fieldsOf(asked));
    expect([flipped.status, flipped.headers["location"]]).toEqual([303, "?flipped=drain"]);
    expect(await changes()).toEqual([
      { mode: "drain", changedBy: "alice", reason: "small enough" },
    ]);
    const after = await browser.get(`${path}?flipped=drain`);
    expect(after.body).toContain('role="status">The mode is drain from now on.');
    expect(after.body).toContain("<title>Done · Session bridge");
    const ofProcesses = async () => (await app.bridge.status()).processes.map(({ mode }) => mode);
    clock.advance(60);
    expect((await browser.get(`${path}?flipped=drain`)).body).not.toContain("from now on");
    await expect.poll(ofProcesses, { timeout: 5000 }).toEqual(["drain"]);
    // One that serves this page alone knows the flag as well.
    const fresh = await start();
    expect((await as(fresh).get(path)).body).toContain("All 2 live processes are in it.");
  });

  it("says of each mode what it does to whom, and warns where the verdict does", async () => {
    await database.pool.query(
      `insert into "sessionBridgeHit" values
      ($1::date, 'requests', 'bridge', 'bearer', '{}', 100000),
      ($1::date, 'requests', 'bridge', 'legacy', '{}', 10),
      ($1::date, 'legacy_cookies', 'koa-session:koa.sess', 'hit', '{}', 10)`,
      [clock.now().toISOString().slice(0, 10)],
    );
    const browser = as(await start());
    const told = async (mode: string) => String((await choose(browser, mode)).body);
    expect(await told("drain")).not.toContain("The verdict");
    expect(await told("drain")).toContain("10 requests came by cookie alone: under 0.01 %");
    expect(await told("tokens")).toContain("“safe to drain”, not “safe to drop”");
    expect(await told("tokens")).toContain("is logged out");
    expect(await told("observe")).toContain("Nobody is logged out.");
  });

  it("takes back a message that is not true", async () => {
    expect((await as(await start()).get(`${path}?flipped=tokens`)).body).not.toContain("from now");
  });

  it.each([
    ["another site", { "sec-fetch-site": "cross-site" }],
    ["another host of this site", { "sec-fetch-site": "same-site" }],
    ["the address line", { "sec-fetch-site": "none" }],
    ["another origin", { origin: "https://evil.example" }],
    ["a sandbox", { origin: "null" }],
    ["nobody knows where", {}],
  ])("refuses a form from %s", async (_, headers) => {
    const browser = as(await start());
    const fields = fieldsOf(await choose(browser, "drain"));
    const refused = await send(browser, fields, headers);
    expect(refused.status).toBe(403);
    expect(refused.body).toBe("Only the page itself may send this form. Nothing was changed.");
    expect(await changes()).toEqual([]);
  });

  it("takes the origin where an older browser says no more", async () => {
    const app = await start();
    expect((await choose(as(app), "drain", "", { origin: app.url })).status).toBe(200);
  });

  it("takes a form back in any process that has the keys, also while they are exchanged", async () => {
    const next = {
      kid: "next",
      alg: "HS256" as const,
      key: "another secret of more than 32 bytes",
    };
    const [one, other] = [
      await start(),
      await start({ tokens: { signingKeys: [next, ...signingKeys] } }),
    ];
    const fields = fieldsOf(await choose(as(one), "drain"));
    expect((await send(as(other), fields)).status).toBe(303);
  });

  it.each<[string, (fields: Record<string, string>) => Record<string, string>, string?]>([
    ["none", (fields) => ({ ...fields, token: "" })],
    ["a forged one", (fields) => ({ ...fields, token: `9999999999.${"A".repeat(43)}` })],
    ["one for another mode", (fields) => ({ ...fields, mode: "tokens" })],
    ["one for another reason", (fields) => ({ ...fields, reason: "another" })],
    ["somebody else's", (fields) => fields, "mallory"],
  ])("changes nothing by a form token that is %s", async (_, change, operator = "alice") => {
    const app = await start();
    const fields = fieldsOf(await choose(as(app), "drain", "why"));
    const refused = await send(as(app, operator), change(fields));
    expect(refused.status).toBe(403);
    expect(refused.body).toContain("Nothing was changed; confirm again.");
    expect(await changes()).toEqual([]);
  });

  it("asks again when the form was open for too long, and loses nothing", async () => {
    const browser = as(await start());
    const fields = fieldsOf(await choose(browser, "drain", "why"));
    clock.advance(15 * 60);
    const again = await send(browser, fields);
    expect(again.status).toBe(403);
    expect(fieldsOf(again)).toMatchObject({ mode: "drain", reason: "why" });
    expect((await send(browser, fieldsOf(again))).status).toBe(303);
  });

  it("asks again when somebody else was faster, and takes a form once", async () => {
    const app = await start();
    const [alice, bob] = [as(app), as(app, "bob")];
    const fields = fieldsOf(await choose(alice, "drain", "why"));
    await send(bob, fieldsOf(await choose(bob, "tokens")));
    const again = await send(alice, fields);
    expect(again.status).toBe(409);
    expect(again.body).toContain("from <em>tokens</em> to <em>drain</em>");
    expect((await send(alice, fieldsOf(again))).status).toBe(303);
    clock.advance(1);
    expect((await send(alice, fieldsOf(again))).status).toBe(422);
    expect(await changes()).toHaveLength(2);
  });

  it.each([
    ["a wrong mode", { mode: "drian", reason: "why" }, "Choose one of observe, bridge"],
    ["no mode", { reason: "why" }, "Choose one of observe, bridge"],
    ["the mode that is", { mode: "bridge", reason: "why" }, "The mode is bridge already"],
    ["a long reason", { mode: "drain", reason: "y".repeat(201) }, "The reason has 201 characters"],
  ])("says what is wrong with %s, and keeps the rest", async (_, fields, message) => {
    const { status, body } = await send(as(await start()), { step: "choose", ...fields });
    expect(status).toBe(422);
    expect(body).toContain(`role="alert">${message}`);
    expect(body).toContain(`value="${fields.reason}"`);
    expect(await changes()).toEqual([]);
  });

  it("takes the fields of a body parser that ran before", async () => {
    const app = await start({
      above: async (ctx) => {
        if (ctx.method !== "POST") return;
        const chunks: Buffer[] = [];
        for await (const chunk of ctx.req) chunks.push(chunk as Buffer);
        const fields = new URLSearchParams(Buffer.concat(chunks).toString());
        (ctx.request as { body?: unknown }).body = Object.fromEntries(fields);
      },
    });
    const asked = await choose(as(app), "drain");
    expect((await send(as(app), fieldsOf(asked))).status).toBe(303);
  });

  it.each<[string, Partial<SessionBridgeOptions>, string]>([
    ["option", { mode: "bridge" }, "written into the application as option mode"],
    ["function", { mode: () => "bridge" }, "comes from the function"],
  ])("has no form when the mode comes from the %s", async (_, options, sentence) => {
    const browser = as(await start(options));
    const { body } = await browser.get(path);
    expect(body).toContain(sentence);
    expect(body).not.toContain("<form");
    const refused = await choose(browser, "drain");
    expect(refused.status).toBe(422);
    expect(refused.body).toContain(sentence);
    expect(await changes()).toEqual([]);
  });

  it("has no form when the mode comes from the environment", async () => {
    process.env["SESSION_BRIDGE_MODE"] = "drain";
    try {
      const { body } = await as(await start()).get(path);
      expect(body).toContain("environment variable SESSION_BRIDGE_MODE");
      expect(body).not.toContain("<form");
    } finally {
      delete process.env["SESSION_BRIDGE_MODE"];
    }
  });
});

describe("without the database", () => {
  it("says so, shows what it knew, and loses no choice", async () => {
    const own = await databaseOfItsOwnServer();
    try {
      const app = await startDashboardApp(own.pool, { clock: clock.now });
      running.push(app);
      const browser = as(app);
      const fields = fieldsOf(await choose(browser, "drain", "why"));
      await own.server.stop();
      clock.advance(5);
      const page = await browser.get(path);
      expect(page.status).toBe(503);
      expect(page.body).toContain('role="alert">The session store is unavailable');
      expect(page.body).toContain("These numbers are from");
      expect((await browser.get(`${path}?fragment`)).status).toBe(503);
      const refused = await send(browser, fields);
      expect(refused.status).toBe(503);
      expect(fieldsOf(refused)).toMatchObject({ mode: "drain", reason: "why" });
      const fresh = await startDashboardApp(own.pool, { clock: clock.now });
      running.push(fresh);
      const chosen = await choose(as(fresh), "drain", "why");
      expect(chosen.status).toBe(503);
      expect(chosen.body).toMatch(/value="drain" required checked/);
      await own.server.start();
      expect((await send(browser, fieldsOf(refused))).status).toBe(303);
    } finally {
      for (const app of running.splice(0)) await app.close();
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

import { describe, expect, it } from "vitest";
import { type SessionBridgeOptions } from "../../src/index.js";
import { signingKeys } from "../support/app.js";
import { as, choose, dashboardTests, fieldsOf, path, send } from "../support/dashboard-operator.js";

const world = dashboardTests();

describe("changing the mode", () => {
  it("asks, then changes it, notes who and why, and says so", async () => {
    const app = await world.start();
    const browser = as(app);
    await app.browser().get("/whoami");
    const asked = await choose(browser, "drain", "  small\nenough ");
    expect(asked.status).toBe(200);
    expect(asked.body).toContain("Change the mode from <em>bridge</em> to <em>drain</em>?");
    expect(asked.body).toContain("New sessions get tokens and no cookie");
    expect(asked.body).toContain("The verdict is “not yet”");
    expect(await world.changes()).toEqual([]);
    const flipped = await send(browser, fieldsOf(asked));
    expect([flipped.status, flipped.headers["location"]]).toEqual([303, "?flipped=drain"]);
    expect(await world.changes()).toEqual([
      { mode: "drain", changedBy: "alice", reason: "small enough" },
    ]);
    const after = await browser.get(`${path}?flipped=drain`);
    expect(after.body).toContain('role="status">The mode is drain from now on.');
    expect(after.body).toContain("<title>Done · Session bridge");
    const ofProcesses = async () => (await app.bridge.status()).processes.map(({ mode }) => mode);
    world.clock.advance(60);
    expect((await browser.get(`${path}?flipped=drain`)).body).not.toContain("from now on");
    await expect.poll(ofProcesses, { timeout: 5000 }).toEqual(["drain"]);
    // One that serves this page alone is none of them, and knows the flag as well.
    const fresh = await world.start();
    expect((await as(fresh).get(path)).body).toContain("The one live process is in it.");
  });

  it("gives the processes a moment to follow, and warns of those that do not", async () => {
    const at = world.clock.now();
    await world.database.pool.query(
      `insert into "sessionBridgeMode" ("mode", "changedAt", "changedBy") values ('drain', $1, 'bob')`,
      [at],
    );
    const insert = (modeFrom: string) =>
      world.database.pool.query(
        `insert into "sessionBridgeProcess" ("id", "flush", "mode", "about", "startedAt", "seenAt")
        values (gen_random_uuid(), 1, 'bridge', $1::jsonb, $2, $2)`,
        [JSON.stringify({ host: "api-1", modeFrom }), at],
      );
    await insert("database");
    const browser = as(await world.start());
    const seen = async () => String((await browser.get(path)).body);
    expect(await seen()).toContain("Processes are following.");
    expect(await seen()).not.toContain('<strong class="warn">');
    world.clock.advance(3);
    await insert("option");
    expect(await seen()).toContain("1 of 2 live processes is in another mode");
    expect((await seen()).match(/<strong class="warn">bridge/g)).toHaveLength(1);
    world.clock.advance(3);
    expect(await seen()).toContain("2 of 2 live processes are in another mode");
    expect((await seen()).match(/<strong class="warn">bridge/g)).toHaveLength(2);
  });

  it("says of each mode what it does to whom, and warns where the verdict does", async () => {
    await world.database.pool.query(
      `insert into "sessionBridgeHit"
      select $1::date - d, x.* from generate_series(0, 9) d, (values
        ('requests', 'bridge', 'bearer', '{}'::jsonb, 100000),
        ('requests', 'bridge', 'legacy', '{}', 10),
        ('legacy_cookies', 'koa-session:koa.sess', 'hit', '{}', 10)) x`,
      [world.clock.now().toISOString().slice(0, 10)],
    );
    const browser = as(await world.start());
    const told = async (mode: string) => String((await choose(browser, mode)).body);
    expect(await told("drain")).not.toContain("The verdict");
    expect(await told("drain")).toContain("70 requests came by cookie alone: under 0.01 %");
    expect(await told("tokens")).toContain("“safe to drain”, not “safe to drop”");
    expect(await told("tokens")).toContain("is logged out");
    expect(await told("observe")).toContain("Nobody is logged out.");
    // A page that a browser loads has no token.
    const lockedOut = "If this page knows you by your session cookie, you may not get in here";
    for (const mode of ["drain", "tokens"]) expect(await told(mode)).toContain(lockedOut);
    expect(await told("observe")).not.toContain(lockedOut);
    expect(await told("tokens")).toContain("<code>koa-session-bridge mode</code> takes it back");
  });

  it("takes back a message that is not true", async () => {
    expect((await as(await world.start()).get(`${path}?flipped=tokens`)).body).not.toContain(
      "from now",
    );
  });

  it.each([
    ["another site", { "sec-fetch-site": "cross-site" }],
    ["another host of this site", { "sec-fetch-site": "same-site" }],
    ["the address line", { "sec-fetch-site": "none" }],
    ["another origin", { origin: "https://evil.example" }],
    ["a sandbox", { origin: "null" }],
    ["nobody knows where", {}],
  ])("refuses a form from %s", async (_, headers) => {
    const browser = as(await world.start());
    const fields = fieldsOf(await choose(browser, "drain"));
    const refused = await send(browser, fields, headers);
    expect(refused.status).toBe(403);
    expect(refused.body).toBe("Only the page itself may send this form. Nothing was changed.");
    expect(await world.changes()).toEqual([]);
  });

  it("takes the origin where an older browser says no more", async () => {
    const app = await world.start();
    expect((await choose(as(app), "drain", "", { origin: app.url })).status).toBe(200);
  });

  it("takes a form back in any process that has the keys, also while they are exchanged", async () => {
    const next = {
      kid: "next",
      alg: "HS256" as const,
      key: "another secret of more than 32 bytes",
    };
    const [one, other] = [
      await world.start(),
      await world.start({ tokens: { signingKeys: [next, ...signingKeys] } }),
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
    const app = await world.start();
    const fields = fieldsOf(await choose(as(app), "drain", "why"));
    const refused = await send(as(app, operator), change(fields));
    expect(refused.status).toBe(403);
    expect(refused.body).toContain("Nothing was changed; confirm again.");
    expect(await world.changes()).toEqual([]);
  });

  it("asks again when the form was open for too long, and loses nothing", async () => {
    const browser = as(await world.start());
    const fields = fieldsOf(await choose(browser, "drain", "why"));
    world.clock.advance(15 * 60);
    const again = await send(browser, fields);
    expect(again.status).toBe(403);
    expect(fieldsOf(again)).toMatchObject({ mode: "drain", reason: "why" });
    expect((await send(browser, fieldsOf(again))).status).toBe(303);
  });

  it("asks again when somebody else was faster, and takes a form once", async () => {
    const app = await world.start();
    const [alice, bob] = [as(app), as(app, "bob")];
    const fields = fieldsOf(await choose(alice, "drain", "why"));
    await send(bob, fieldsOf(await choose(bob, "tokens")));
    const again = await send(alice, fields);
    expect(again.status).toBe(409);
    expect(again.body).toContain("from <em>tokens</em> to <em>drain</em>");
    expect((await send(alice, fieldsOf(again))).status).toBe(303);
    world.clock.advance(1);
    expect((await send(alice, fieldsOf(again))).status).toBe(422);
    expect(await world.changes()).toHaveLength(2);
  });

  it.each([
    ["a wrong mode", { mode: "drian", reason: "why" }, "Choose one of observe, bridge"],
    ["no mode", { reason: "why" }, "Choose one of observe, bridge"],
    ["the mode that is", { mode: "bridge", reason: "why" }, "The mode is bridge already"],
    ["a long reason", { mode: "drain", reason: "y".repeat(201) }, "The reason has 201 characters"],
  ])("says what is wrong with %s, and keeps the rest", async (_, fields, message) => {
    const { status, body } = await send(as(await world.start()), { step: "choose", ...fields });
    expect(status).toBe(422);
    expect(body).toContain(`role="alert">${message}`);
    expect(body).toContain(`value="${fields.reason}"`);
    expect(await world.changes()).toEqual([]);
  });

  it("takes the fields of a body parser that ran before", async () => {
    const app = await world.start({
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
    const browser = as(await world.start(options));
    const { body } = await browser.get(path);
    expect(body).toContain(sentence);
    expect(body).not.toContain("<form");
    const refused = await choose(browser, "drain");
    expect(refused.status).toBe(422);
    expect(refused.body).toContain(sentence);
    expect(await world.changes()).toEqual([]);
  });

  it("has no form when the mode comes from the environment", async () => {
    process.env["SESSION_BRIDGE_MODE"] = "drain";
    try {
      const { body } = await as(await world.start()).get(path);
      expect(body).toContain("environment variable SESSION_BRIDGE_MODE");
      expect(body).not.toContain("<form");
    } finally {
      delete process.env["SESSION_BRIDGE_MODE"];
    }
  });
});

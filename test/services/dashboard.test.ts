import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { listen, type RunningApp } from "../support/app.js";
import { startChromium } from "../support/chromium.js";
import { startDashboardApp, twoSources } from "../support/dashboard-app.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { monthSources, seedMonth } from "../support/dashboard-month.js";
import { Koa } from "../support/versions.js";

const days = 24 * 60 * 60 * 1000;
// Longer than the page waits before it looks again.
const soon = { timeout: 15_000 };

let chromium: Browser;
let database: TestDatabase;
let app: RunningApp;
let url: string;
let now: Date;

beforeAll(async () => {
  chromium = await startChromium();
});
afterAll(() => chromium.close());
beforeEach(async () => {
  database = await testDatabase();
  now = new Date();
  const legacy = await twoSources(database.pool, 212, new Date(now.getTime() + 4 * days));
  await seedMonth(database.pool, now);
  const authorize = (ctx: { get(name: string): string }) => ctx.get("x-operator");
  app = await startDashboardApp(database.pool, { legacy, authorize });
  await app.browser().get("/whoami");
  url = `${app.url}/session-bridge`;
});
afterEach(async () => {
  for (const context of chromium.contexts()) await context.close();
  await app.close();
  await database.drop();
});

/** A page of a browser that the network knows as alice's; whatever it asks for and complains of is kept. */
async function open(options: BrowserContextOptions = {}) {
  const context = await chromium.newContext({
    extraHTTPHeaders: { "x-operator": "alice" },
    viewport: { width: 1280, height: 900 },
    ...options,
  });
  const page = await context.newPage();
  const requests: string[] = [];
  const complaints: string[] = [];
  page.on("request", (request) => requests.push(`${request.method()} ${request.url()}`));
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(url);
  return { page, requests, complaints };
}

async function query<Row>(text: string, values: unknown[] = []): Promise<Row[]> {
  return (await database.pool.query(text, values)).rows as Row[];
}

const lastChange = async () => {
  const rows = await query(
    `select "mode", "changedBy", "reason" from "sessionBridgeMode" order by "id" desc limit 1`,
  );
  return rows[0];
};

/** The texts of a table's rows, by its caption. */
async function tableOf(page: Page, caption: string): Promise<string[][]> {
  const rows = page.locator("table", { has: page.locator("caption", { hasText: caption }) });
  const texts = await rows
    .locator("tbody tr")
    .evaluateAll((all: any[]) => all.map((row) => [...row.cells].map((cell) => cell.textContent)));
  return (texts as string[][]).map((row) => row.map((cell) => cell.replace(/\s+/g, " ").trim()));
}

const text = (count: number) => count.toLocaleString("en-US");

describe("what it shows", () => {
  it("is what the database holds", async () => {
    const { page } = await open();
    const perDay = await query<{ day: string; bearer: string; hits: string }>(
      `select "day"::text as "day",
        sum("count") filter (where "counter" = 'requests' and "outcome" = 'bearer') as "bearer",
        sum("count") filter (where "counter" = 'legacy_cookies' and "outcome" = 'hit') as "hits"
      from "sessionBridgeHit" group by 1 order by 1 desc`,
    );
    await page.getByText("The same as a table").click();
    const shown = await tableOf(page, "Requests with a session by day");
    expect(shown.map(([, bearer, hits]) => [bearer, hits])).toEqual(
      perDay.map(({ bearer, hits }) => [text(Number(bearer)), text(Number(hits))]),
    );
    expect(shown).toHaveLength(30);
    const path = await page.locator("path.line.legacy").first().getAttribute("d");
    expect(path?.split("L")).toHaveLength(29);

    const outcomes = await tableOf(page, "Cookies presented");
    const counted = await query<{ source: string; outcome: string; count: string }>(
      `select "source", "outcome", sum("count") as "count" from "sessionBridgeHit"
      where "counter" = 'legacy_cookies' group by 1, 2`,
    );
    for (const [name = "", ...counts] of outcomes) {
      const outcome = name.split(" ")[0]!.toLowerCase();
      const expected = monthSources.map((source) => {
        const row = counted.find((row) => row.source === source && row.outcome === outcome);
        return text(Number(row?.count ?? 0));
      });
      expect([outcome, ...counts]).toEqual([outcome, ...expected]);
    }

    const sessions = await tableOf(page, "Live sessions by source");
    expect(sessions.map(([name = "", ...counts]) => [name.split(" ")[0], ...counts])).toEqual([
      ["Upgraded", "18,412", "1,284"],
      ["Adopted", "17,986", "1,102"],
      ["Remaining", "426", "182"],
      ["Last", expect.stringMatching(/^\d+ \w{3} 20\d\d$/), expect.stringMatching(/^\d+ \w{3}/)],
      ["Not", "not countable", "212"],
    ]);

    const stragglers = await tableOf(page, "Who came by cookie alone");
    const [first] = await query<{ client: string; hits: string }>(
      `select "labels"->>'client' as "client", sum("count") as "hits" from "sessionBridgeHit"
      where "counter" = 'legacy_cookies' and "outcome" = 'hit' and "day" > $1::date - 7
      group by 1 order by 2 desc limit 1`,
      [now],
    );
    expect(stragglers[0]).toEqual([
      `client ${first!.client} ${monthSources[0]}`,
      text(Number(first!.hits)),
      expect.any(String),
    ]);

    const status = await app.bridge.status();
    const verdict = page.getByRole("region", { name: "Verdict" });
    expect(await verdict.getByText("Not yet").isVisible()).toBe(true);
    for (const reason of status.verdict.reasons) {
      expect(await verdict.textContent()).toContain(reason);
    }
    expect(await page.getByText("2 reused").isVisible()).toBe(true);
    const trail = await tableOf(page, "The last changes of the flag");
    expect(trail.map(([, who, what]) => [who, what])).toEqual([
      ["jonas", "brownout ended"],
      ["jonas", "brownout of 10 %"],
      ["priya", "observe → bridge"],
      ["priya", "unset → observe"],
    ]);
    expect(await tableOf(page, "Processes that serve")).toHaveLength(4);
  });

  it("is nothing to whoever is not allowed", async () => {
    const { page } = await open({ extraHTTPHeaders: {} });
    const response = await page.reload();
    expect(response?.status()).toBe(403);
    expect(await page.locator("body").textContent()).toBe("You are not allowed to see this page.");
  });

  it("comes from nowhere else, and runs nothing else", async () => {
    const { page, requests, complaints } = await open();
    await page.getByText("The same as a table").click();
    await expect
      .poll(() => requests.filter((request) => request.endsWith("?fragment")).length, soon)
      .toBeGreaterThan(0);
    expect([...new Set(requests)]).toEqual([`GET ${url}`, `GET ${url}?fragment`]);
    expect(complaints).toEqual([]);
    // The policy is in force: what somebody might smuggle in does not run.
    await page.evaluate(`{
      const script = document.createElement("script");
      script.textContent = "window.smuggled = true";
      document.body.append(script);
    }`);
    expect(await page.evaluate("window.smuggled")).toBeUndefined();
    expect(complaints.join()).toContain("Content Security Policy");
  });

  it("shows what clients have sent as the text that it is", async () => {
    const hostile = `<script>window.run = 1</script><img src=x onerror="window.run = 2">`;
    await query(`update "sessionBridgeHit" set "labels" = $1::jsonb where "labels" = $2::jsonb`, [
      JSON.stringify({ client: hostile }),
      JSON.stringify({ client: "ios 4.9" }),
    ]);
    const { page, requests, complaints } = await open();
    const there = page.getByRole("region", { name: "Stragglers" }).getByText(hostile);
    expect(await there.isVisible()).toBe(true);
    // Also when the script puts it in.
    await query(`update "sessionBridgeHit" set "count" = "count" + 1 where "labels" = $1::jsonb`, [
      JSON.stringify({ client: hostile }),
    ]);
    await expect.poll(() => requests.filter((r) => r.endsWith("?fragment")).length, soon).toBe(2);
    expect(await there.isVisible()).toBe(true);
    expect(await page.evaluate("window.run")).toBeUndefined();
    expect(complaints).toEqual([]);
  });
});

describe("changing the mode", () => {
  it("asks first; then the row is there and the bridge follows", async () => {
    const { page, complaints } = await open();
    await page.getByRole("radio", { name: "drain" }).check();
    await page.getByLabel("Reason").fill("weekend is quiet");
    await page.getByRole("button", { name: "Continue" }).click();
    expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe(
      "Change the mode from bridge to drain?",
    );
    expect(await page.locator("main").textContent()).toContain("The verdict is “not yet”");
    expect(await lastChange()).toMatchObject({ mode: "bridge", changedBy: "jonas" });
    await page.getByRole("button", { name: "Change to drain" }).click();
    expect(await page.getByRole("status").textContent()).toContain("The mode is drain from now on");
    expect(await lastChange()).toEqual({
      mode: "drain",
      changedBy: "alice",
      reason: "weekend is quiet",
    });
    expect(await page.locator("[aria-current=step]").textContent()).toContain("drain");
    // In drain a login gets no cookie.
    await expect
      .poll(async () => (await app.browser().get("/login")).setCookie.length, soon)
      .toBe(0);
    expect(complaints).toEqual([]);
  });

  it("goes back from the question without a change", async () => {
    const { page } = await open();
    await page.getByRole("radio", { name: /^tokens/ }).check();
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByRole("link", { name: "Back, change nothing" }).click();
    await page.getByRole("heading", { name: "Verdict" }).waitFor();
    expect(await lastChange()).toMatchObject({ mode: "bridge", changedBy: "jonas" });
  });

  it("works without JavaScript", async () => {
    const { page } = await open({ javaScriptEnabled: false });
    await page.getByRole("radio", { name: "observe" }).check();
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByRole("button", { name: "Change to observe" }).click();
    expect(await page.getByRole("status").textContent()).toContain("The mode is observe");
    expect(await lastChange()).toEqual({ mode: "observe", changedBy: "alice", reason: null });
  });

  it("works by keyboard alone, and shows where one is", async () => {
    const { page } = await open();
    const focus = () =>
      page.evaluate<{ name: string; text: string; outline: string }>(`{
        const { activeElement } = document;
        const { outlineStyle, outlineWidth } = getComputedStyle(activeElement);
        ({
          name: activeElement.getAttribute("name") ?? "",
          text: activeElement.textContent,
          outline: outlineStyle + " " + outlineWidth,
        });
      }`);
    const tabTo = async (is: (focus: { name: string; text: string }) => boolean) => {
      for (let presses = 0; presses < 30; presses += 1) {
        await page.keyboard.press("Tab");
        const at = await focus();
        expect(at.outline).toBe("solid 2px");
        if (is(at)) return;
      }
      throw new Error("not reached by Tab");
    };
    await page.keyboard.press("Tab");
    expect((await focus()).text).toBe("Skip to the content");
    await tabTo(({ name }) => name === "mode");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    await tabTo(({ name }) => name === "reason");
    await page.keyboard.type("by keyboard");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Change the mode from bridge to drain?" }).waitFor();
    await tabTo(({ text }) => text === "Change to drain");
    await page.keyboard.press("Enter");
    await page.getByRole("status").waitFor();
    expect(await lastChange()).toMatchObject({ mode: "drain", reason: "by keyboard" });
  });

  it("is refused to a page of another site, in whose form everything is right", async () => {
    const { page } = await open();
    await page.getByRole("radio", { name: /^tokens/ }).check();
    await page.getByRole("button", { name: "Continue" }).click();
    const form = await page.locator("form").innerHTML();
    const elsewhere = new Koa();
    elsewhere.use((ctx) => {
      ctx.type = "html";
      ctx.body = `<form method="post" action="${url}">${form}</form>`;
    });
    const other = await listen(elsewhere);
    try {
      await page.goto(other.url.replace("127.0.0.1", "localhost"));
      const answer = page.waitForResponse((response) => response.url() === url);
      await page.getByRole("button", { name: "Change to tokens" }).click();
      expect((await answer).status()).toBe(403);
      expect(await page.locator("body").textContent()).toContain("Nothing was changed.");
      expect(await lastChange()).toMatchObject({ mode: "bridge", changedBy: "jonas" });
    } finally {
      await other.close();
    }
  });
});

describe("staying up to date", () => {
  it("brings in what is new, and leaves the form, the focus and the unfolded alone", async () => {
    const { page } = await open();
    await page.getByText("The same as a table").click();
    await page.getByRole("radio", { name: "drain" }).check();
    await page.getByLabel("Reason").fill("half a rea");
    await page.evaluate(`{
      window.said = [];
      for (const region of document.querySelectorAll("[aria-live]")) {
        new MutationObserver(() => said.push(region.textContent.trim())).observe(region, {
          subtree: true, childList: true, characterData: true,
        });
      }
    }`);
    await query(
      `update "sessionBridgeHit" set "count" = "count" + 1
      where "day" = $1::date and "counter" = 'requests' and "outcome" = 'bearer'`,
      [now],
    );
    const [bearer] = await query<{ count: string }>(
      `select sum("count") as "count" from "sessionBridgeHit"
      where "day" = $1::date and "counter" = 'requests' and "outcome" = 'bearer'`,
      [now],
    );
    const today = async () => (await tableOf(page, "Requests with a session by day"))[0]?.[1];
    await expect.poll(today, soon).toBe(text(Number(bearer!.count)));
    expect(await page.getByLabel("Reason").inputValue()).toBe("half a rea");
    expect(await page.evaluate("document.activeElement.id")).toBe("reason");
    expect(await page.getByRole("radio", { name: "drain" }).isChecked()).toBe(true);
    expect(await page.locator("details").getAttribute("open")).toBe("");
    // Nothing is read out before the mode or the verdict changes.
    expect(await page.evaluate("said")).toEqual([]);
    await query(
      `insert into "sessionBridgeMode" ("mode", "changedAt", "changedBy") values ('drain', now(), 'bob')`,
    );
    await expect.poll(() => page.evaluate("said"), soon).toContain("The mode is drain.");
  });

  it("rests while nobody sees it", async () => {
    const context = await chromium.newContext({ extraHTTPHeaders: { "x-operator": "alice" } });
    const page = await context.newPage();
    let updates = 0;
    page.on("response", (response) => {
      if (response.url().endsWith("?fragment")) updates += 1;
    });
    await page.clock.install();
    await page.goto(url);
    const hide = (isHidden: boolean) =>
      page.evaluate(`{
        Object.defineProperty(document, "hidden", { configurable: true, value: ${isHidden} });
        document.dispatchEvent(new Event("visibilitychange"));
      }`);
    await page.clock.runFor(5000);
    await expect.poll(() => updates).toBe(1);
    await hide(true);
    await page.clock.runFor(120_000);
    expect(updates).toBe(1);
    await hide(false);
    await expect.poll(() => updates).toBe(2);
  });

  it("looks again sooner when the mode has just been set", async () => {
    const { page } = await open();
    let updates = 0;
    page.on("response", (response) => {
      if (response.url().endsWith("?fragment")) updates += 1;
    });
    await page.clock.install();
    await page.goto(`${url}?flipped=bridge`);
    await page.clock.runFor(2500);
    await expect.poll(() => updates).toBe(1);
  });

  it("says when its numbers are old", async () => {
    const { page } = await open();
    await app.close();
    await expect
      .poll(() => page.locator(".freshness").textContent(), soon)
      .toMatch(/^The server does not answer\. These numbers are from \d\d:\d\d:\d\d UTC\.$/);
  });
});

describe("how it looks", () => {
  const widthOf = (page: Page) => page.evaluate("document.documentElement.scrollWidth");

  it.each([390, 375, 320])("fits a phone of %i pixels, whatever clients send", async (width) => {
    await query(`update "sessionBridgeHit" set "labels" = $1::jsonb where "labels" = $2::jsonb`, [
      JSON.stringify({ client: "M".repeat(60), ["n".repeat(40)]: "W".repeat(60) }),
      JSON.stringify({ client: "ios 4.9" }),
    ]);
    await query(`update "sessionBridgeMode" set "reason" = repeat('r', 200)`);
    // As wide as a date may be.
    await query(`update "sessionBridgeLink" set "expiresAt" = '2088-12-28T12:00:00Z'`);
    const { page } = await open({ viewport: { width, height: 844 } });
    expect(await widthOf(page)).toBe(width);
    for (const summary of await page.locator("summary").all()) await summary.click();
    expect(await widthOf(page)).toBe(width);
    const spilled = await page
      .locator(".numbers dd")
      .evaluateAll((all: any[]) => all.filter((dd) => dd.scrollWidth > dd.clientWidth).length);
    expect(spilled).toBe(0);
    const isScrolled = await page
      .getByRole("group", { name: "Who came by cookie alone" })
      .evaluate((box: any) => box.scrollWidth > box.clientWidth);
    expect(isScrolled).toBe(true);
    await page.getByRole("radio", { name: /^tokens/ }).check();
    await page.getByLabel("Reason").fill("r".repeat(200));
    await page.getByRole("button", { name: "Continue" }).click();
    expect(await widthOf(page)).toBe(width);
  });

  it("is dark where that is preferred", async () => {
    const brightness = async (colorScheme: "light" | "dark") => {
      const { page } = await open({ colorScheme });
      const colours = await page.evaluate<[string, string]>(
        `[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]`,
      );
      return colours.map((colour) => Number(/\d+/.exec(colour)?.[0]));
    };
    const [[darkGround = 255, darkText = 0], [lightGround = 0, lightText = 255]] = [
      await brightness("dark"),
      await brightness("light"),
    ];
    expect(darkGround).toBeLessThan(50);
    expect(darkText).toBeGreaterThan(200);
    expect(lightGround).toBeGreaterThan(200);
    expect(lightText).toBeLessThan(50);
  });

  it("can be found one's way in by ear", async () => {
    const { page } = await open();
    const levels = await page
      .locator("h1, h2, h3")
      .evaluateAll((all: any[]) => all.map(({ tagName }) => tagName as string));
    expect(levels[0]).toBe("H1");
    expect(new Set(levels.slice(1))).toEqual(new Set(["H2"]));
    for (const role of ["banner", "main", "contentinfo"] as const) {
      expect(await page.getByRole(role).count()).toBe(1);
    }
    for (const name of ["Mode", "Verdict", "Change the mode", "Requests", "Audit trail"]) {
      expect(await page.getByRole("region", { name, exact: true }).count()).toBe(1);
    }
    expect(await page.getByRole("group", { name: "New mode" }).count()).toBe(1);
    expect(await page.getByRole("img", { name: "Requests with a session by day" }).count()).toBe(1);
    expect(await page.locator("table:not(:has(caption))").count()).toBe(0);
    expect(await page.locator("[aria-live]").count()).toBe(2);
    const duplicates = await page.evaluate(`{
      const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
      ids.filter((id, index) => ids.indexOf(id) !== index);
    }`);
    expect(duplicates).toEqual([]);
  });

  // For the documentation: SCREENSHOTS=docs npm run test:services -- dashboard
  const folder = process.env["SCREENSHOTS"];
  const draw = async (folder: string) => {
    await mkdir(folder, { recursive: true });
    for (const [name, options] of [
      ["light", { colorScheme: "light", viewport: { width: 1200, height: 900 } }],
      ["dark", { colorScheme: "dark", viewport: { width: 1200, height: 900 } }],
      ["phone", { colorScheme: "light", viewport: { width: 390, height: 844 } }],
    ] as const) {
      const { page } = await open(options);
      const last = page.getByRole("region", { name: name === "phone" ? "In short" : "Requests" });
      const { y = 0, height = 0 } = (await last.boundingBox()) ?? {};
      await page.screenshot({
        path: join(folder, `dashboard-${name}.png`),
        fullPage: true,
        clip: { x: 0, y: 0, width: options.viewport.width, height: Math.ceil(y + height + 16) },
      });
    }
  };
  if (folder !== undefined) it("is drawn", () => draw(folder));
});

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import {
  app,
  chromium,
  now,
  open,
  query,
  soon,
  tableOf,
  text,
  url,
} from "../support/dashboard-in-chromium.js";

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

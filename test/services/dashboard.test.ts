import { describe, expect, it } from "vitest";
import { listen } from "../support/app.js";
import {
  app,
  lastChange,
  now,
  open,
  query,
  soon,
  tableOf,
  text,
  url,
} from "../support/dashboard-in-chromium.js";
import { monthSources } from "../support/dashboard-month.js";
import { Koa } from "../support/versions.js";

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

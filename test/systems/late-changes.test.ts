import { describe, expect, it } from "vitest";
import type { RunningApp } from "../support/app.js";
import { held } from "../support/held.js";
import { namedSystems } from "../support/systems/index.js";
import { flowsOfTest } from "../support/systems/system-flow.js";

const start = flowsOfTest();

describe.each(namedSystems)("A handler that still runs when a session of %s ends", (_, system) => {
  it.each([
    ["seen for the first time", false],
    ["upgraded", true],
  ])("brings nothing of it back by issuing tokens, where it was %s", async (_, isUpgraded) => {
    const flow = await start(system);
    const slow = held(async (ctx, session) => {
      session.late = true;
      await app.bridge.issueTokens(ctx).then(
        (pair) => (ctx.body = { pair }),
        ({ code }: { code: unknown }) => (ctx.body = { code }),
      );
    });
    const handlers = { ...flow.application.bridged.handlers, "/slow": slow.handler };
    const app: RunningApp = await flow.bridged({ handlers });
    const browser = (await flow.login()).clone({ baseUrl: app.url });
    if (isUpgraded) await browser.get("/whoami");
    const late = browser.clone();

    const pending = late.get("/slow");
    await slow.inside;
    await browser.get("/logout");
    slow.goOn();

    expect((await pending).body).toEqual({
      code: "no-session",
    });
    expect(await flow.loggedIn()).toBe(0);
    for (const copy of [late, browser]) {
      expect((await copy.get("/whoami")).body.session).not.toHaveProperty("userId");
    }
    const rows = (await flow.application.rows()).filter(({ data }) => "userId" in data);
    expect(rows).toEqual([]);
    expect(await flow.loggedIn()).toBe(0);
  });
});

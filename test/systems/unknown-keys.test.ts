import { describe, expect, it } from "vitest";
import type { Mode } from "../../src/index.js";
import { type RunningApp, tokensOf } from "../support/app.js";
import type { Browser, BrowserResponse } from "../support/client.js";
import { named, oldSystems } from "../support/systems/index.js";
import type { OldSystem } from "../support/systems/old-system.js";
import { flowsOfTest, type SystemFlow } from "../support/systems/system-flow.js";
import { pairIn, sessionIdOf, whoami } from "../support/tokens.js";

const start = flowsOfTest();
const modes: Mode[] = ["observe", "bridge", "drain"];

// As well formed as the system's own: a UUID where it makes UUIDs.
const unknownId = "00000000-0000-4000-8000-00000000feed";

function plant(system: OldSystem, browser: Browser, id: string, key?: string): Browser {
  for (const [name, value] of Object.entries(system.cookiesOfId!(id, key))) {
    browser.cookies.set(name, value);
  }
  return browser;
}

function expectNobody({ status, body, ...response }: BrowserResponse): void {
  expect(status).toBe(200);
  expect(body.session).toEqual({});
  expect(tokensOf(response)).toEqual({ accessToken: undefined, refreshToken: undefined });
}

async function expectNoTrace(flow: SystemFlow): Promise<void> {
  expect(await flow.tableRows("sessionStore")).toEqual([]);
  expect(await flow.tableRows("sessionBridgeLink")).toEqual([]);
}

const outcomes = async (app: RunningApp) =>
  Object.fromEntries(
    Object.values(app.counts().legacyCookies)
      .flatMap((counts) => Object.entries(counts))
      .filter(([, count]) => count > 0),
  );

const withIds = named(oldSystems.filter(({ cookiesOfId }) => cookiesOfId !== undefined));

describe.each(withIds)("An unknown id in a cookie of %s", (_, system) => {
  it.each(modes)("opens nothing and leaves no trace in %s", async (mode) => {
    const flow = await start(system);
    const app = await flow.bridged({ mode });
    const browser = plant(system, app.browser(), unknownId);

    expectNobody(await browser.get("/whoami"));

    await expectNoTrace(flow);
    expect(await outcomes(app)).toEqual({ missed: 1 });
  });

  it.each(modes)("is not the id of the session that its visitor gets in %s", async (mode) => {
    const flow = await start(system);
    const app = await flow.bridged({ mode });
    const attacker = plant(system, app.browser(), unknownId);
    const planted = new Map(attacker.cookies);
    const victim = attacker.clone();

    const response = await victim.get("/login?user=victim");

    expect(response.body.session).toEqual({ userId: "victim" });
    const hasCookie = mode !== "drain" && !system.isReadOnly;
    if (hasCookie) {
      const [name] = system.cookieNames;
      expect(victim.cookies.get(name)).toBeTypeOf("string");
      expect(victim.cookies.get(name)).not.toBe(planted.get(name));
      expect((await victim.get("/whoami")).body.session).toEqual({ userId: "victim" });
    } else {
      const pair = pairIn(response);
      expect(sessionIdOf(pair.accessToken)).not.toBe(unknownId);
      expect((await whoami(app.url, pair)).body.session).toEqual({ userId: "victim" });
    }
    const keys = (await flow.application.rows()).map(({ key }) => key);
    expect(keys.filter((key) => key.endsWith(unknownId))).toEqual([]);
    for (const path of ["/whoami", "/whoami"]) expectNobody(await attacker.clone().get(path));
    const count = await attacker.get("/count");
    expect(count.body.session).toEqual({ count: 1 });
  });
});

const signed = named(oldSystems.filter(({ row }) => row !== "koa-session-minimal"));

describe.each(signed)("A forged cookie of %s", (_, system) => {
  const [name, signatureName] = system.cookieNames;
  const forgeries: Record<string, (cookies: Map<string, string>) => void> = {
    "under the old signature, another value,": (cookies) => {
      const value = cookies.get(name)!;
      // Not the last character, of which base64 may ignore some bits.
      const at = value.length >> 1;
      const other = value[at] === "a" ? "b" : "a";
      cookies.set(name, `${value.slice(0, at)}${other}${value.slice(at + 1)}`);
    },
    ...(signatureName !== undefined && {
      "without its signature": (cookies: Map<string, string>) => cookies.delete(signatureName),
      "with an empty signature": (cookies: Map<string, string>) => cookies.set(signatureName, ""),
    }),
  };

  it.each(Object.entries(forgeries))("%s opens nothing", async (_, forge) => {
    const flow = await start(system);
    const app = await flow.bridged();
    const browser = (await flow.login()).clone({ baseUrl: app.url });
    forge(browser.cookies);

    expectNobody(await browser.get("/whoami"));

    expect(await outcomes(app)).toEqual({ unverified: 1 });
    expect((await browser.post("/session/upgrade")).status).toBe(401);
    await expectNoTrace(flow);
  });

  if (system.cookiesOfId !== undefined) {
    it("with a known id, signed by somebody else, opens nothing", async () => {
      const flow = await start(system);
      const app = await flow.bridged();
      await flow.loginBefore();
      const [row] = await flow.application.rows();
      const id = row!.key.replace(/^koa:sess:/, "");
      const owner = plant(system, app.browser(), id);
      const forger = plant(system, app.browser(), id, "somebody else's key");

      expectNobody(await forger.get("/whoami"));
      await expectNoTrace(flow);
      expect((await owner.get("/whoami")).body.session).toEqual({ userId: "user-1" });
    });
  }
});

import { beforeEach, describe, expect, it } from "vitest";
import type { Mode } from "../../src/index.js";
import { type AppOptions, cookieKeys, type RunningApp, startBridgedApp } from "../support/app.js";
import type { Browser } from "../support/client.js";
import { type Flow, startFlow } from "../support/flow.js";
import { startPlainKoa } from "../support/systems/plain-koa.js";
import { session } from "../support/versions.js";

type Above = NonNullable<AppOptions["above"]>;
const changes: Record<string, (ctx: Parameters<Above>[0]) => void> = {
  member: (ctx) => (ctx.session.early = { at: [1] }),
  same: (ctx) => (ctx.session.userId = "user-1"),
  deleted: (ctx) => delete ctx.session.userId,
  replaced: (ctx) => (ctx.session = { replaced: 1 }),
  emptied: (ctx) => (ctx.session = {}),
  "read and replaced": (ctx) => (ctx.session = { ...ctx.session, replaced: 1 }),
  "read and emptied": (ctx) => (ctx.session = ctx.session && {}),
  maxAge: (ctx) => (ctx.session.maxAge = 60_000),
  removed: (ctx) => (ctx.session = null),
};
const above: Above = (ctx, next) => {
  changes[String(ctx.query["early"])]?.(ctx);
  return next();
};

let flow: Flow;
let plain: Pick<RunningApp, "browser" | "url">;
let closing: (() => Promise<void>)[];

beforeEach(async () => {
  flow = await startFlow("cookie");
  const install = (app: object) => session({ ...flow.config }, app);
  const running = await startPlainKoa(install, { keys: cookieKeys, above });
  plain = running;
  closing = [() => flow.close(), () => running.close()];
  return async () => {
    for (const close of closing.reverse()) await close();
  };
});

async function bridged(mode: Mode): Promise<RunningApp> {
  const app = await startBridgedApp(flow.database.pool, { config: flow.config, mode, above });
  closing.push(() => app.close());
  return app;
}

describe.each<Mode>(["observe", "bridge"])("ctx.session of a data cookie, in %s,", (mode) => {
  const visitors: Record<string, () => Promise<Browser>> = {
    nobody: async () => plain.browser(),
    "a user": () => flow.loginBefore(),
    "a user whose cookie has its id": () => flow.login(),
  };
  it.each(Object.keys(changes))(
    "is what a middleware above the bridge has made of it: %s",
    async (change) => {
      const app = await bridged(mode);
      for (const [visitor, make] of Object.entries(visitors)) {
        const browser = await make();
        const seenBy = async ({ url }: { url: string }) => {
          const copy = browser.clone({ baseUrl: url });
          const answers: unknown[] = [visitor];
          for (const path of [`/whoami?early=${change}`, "/whoami", `/count?early=${change}`]) {
            const { status, body } = await copy.get(path);
            answers.push([path, status, body, copy.cookies.size]);
          }
          return answers;
        };
        expect(await seenBy(app)).toEqual(await seenBy(plain));
      }
      expect(app.bridgeErrors).toEqual([]);
    },
  );

  it.each(["member", "same"])(
    "has nothing of a session that has been logged out when it is changed above: %s",
    async (change) => {
      const ending = await bridged("bridge");
      const browser = (await flow.login()).clone({ baseUrl: ending.url });
      const app = await bridged(mode);
      await browser.get("/set?theme=dark");
      const copy = browser.clone({ baseUrl: app.url });
      await browser.get("/logout");

      for (const path of [`/whoami?early=${change}`, "/whoami"]) {
        expect((await copy.get(path)).body.session).not.toHaveProperty("theme");
      }
      if (change === "member") {
        expect((await copy.get("/whoami")).body.session).toEqual({ early: { at: [1] } });
      }
    },
  );
});

describe("ctx.cookies that a middleware above has changed", () => {
  const fromElsewhere: Above = async (ctx, next) => {
    const given = new Map(
      ctx
        .get("X-Cookies")
        .split("; ")
        .map((each) => [each.slice(0, each.indexOf("=")), each.slice(each.indexOf("=") + 1)]),
    );
    const get = ctx.cookies.get.bind(ctx.cookies);
    ctx.cookies.get = (name, options) => given.get(name) ?? get(name, options);
    await next();
  };

  it.each<Mode>(["observe", "bridge", "drain"])("are what counts, in %s", async (mode) => {
    const browser = await flow.loginBefore();
    const { pool } = flow.database;
    const app = await startBridgedApp(pool, { config: flow.config, mode, above: fromElsewhere });
    closing.push(() => app.close());
    const cookies = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const { body } = await app.browser().get("/whoami", { headers: { "x-cookies": cookies } });
    expect(body.session).toMatchObject({ userId: "user-1" });
    expect(Object.values(app.counts().legacyCookies)[0]).toMatchObject({ hit: 1 });
  });
});

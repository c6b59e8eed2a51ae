import { afterEach, describe, expect, it, vi } from "vitest";
import {
  compasLegacyStore,
  compasSession,
  koaSession,
  type LegacySource,
  type Mode,
} from "../../src/index.js";
import { cookieKeys, type RunningApp, tokensOf } from "../support/app.js";
import { compasSystem } from "../support/systems/compas.js";
import { development, setCompasEnvironment } from "../support/systems/compas-environment.js";
import { cookiesOf } from "../support/systems/several-sources.js";
import { flowsOfTest, type SystemFlow } from "../support/systems/system-flow.js";
import { koaSessionOf } from "../support/versions.js";

const start = flowsOfTest();
const id = "00000000-0000-4000-8000-00000000abcd";
afterEach(() => {
  vi.useRealTimers();
});

describe("An id in Compas's table that is written in upper case", () => {
  const externalKey = {
    get: (ctx: { get(name: string): string }) => ctx.get("x-session") || undefined,
    set: (ctx: { set(name: string, value: string): void }, key: string) => {
      ctx.set("x-session", key);
    },
  };
  type Ask = (app: RunningApp, id: string) => ReturnType<ReturnType<RunningApp["browser"]>["get"]>;
  const ways: [name: string, source: (flow: SystemFlow) => LegacySource, ask: Ask][] = [
    [
      "in a header of the application's own",
      ({ database: { pool } }) =>
        koaSession(koaSessionOf("7"), { store: compasLegacyStore(pool), externalKey }),
      (app, of) => app.browser().get("/whoami", { headers: { "x-session": of } }),
    ],
    [
      "in an unsigned cookie",
      ({ application }) => application.source(),
      (app, of) => {
        const browser = app.browser();
        browser.cookies.set("oldapp.sess", of);
        return browser.get("/whoami");
      },
    ],
  ];

  describe.each(ways)("%s", (_, source, ask) => {
    it.each<Mode>(["observe", "bridge", "drain"])("opens nothing in %s", async (mode) => {
      const flow = await start(compasSystem(), { options: { signed: false } });
      await flow.database.pool.query(
        `insert into "session" ("id", "expires", "data")
        values ($1, now() + interval '1 day', '{"userId":"user-1"}')`,
        [id],
      );
      const legacy = source(flow);
      const app = await flow.bridged({ legacy, mode, allowUnsigned: true, keys: cookieKeys });
      for (const _ of ["before", "after the session is upgraded"]) {
        const refused = await ask(app, id.toUpperCase());
        expect(refused.status).toBe(200);
        expect(refused.body.session).toEqual({});
        expect(tokensOf(refused).accessToken).toBeUndefined();
        expect((await ask(app, id)).body.session).toEqual({ userId: "user-1" });
      }
      expect(await flow.tableRows("sessionStore")).toHaveLength(mode === "observe" ? 0 : 1);
    });
  });
});

describe("Compas's renew as a number of seconds", () => {
  it("is taken for koa-session 7, which knows no such thing", async () => {
    const flow = await start(compasSystem());
    setCompasEnvironment(development);
    const legacy = compasSession(koaSessionOf("7"), {
      store: compasLegacyStore(flow.database.pool),
      renew: 300,
    });
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const app = await flow.bridged({ legacy });
    const browser = app.browser();
    await browser.get("/login");
    for (const [seconds, renewed] of [
      [299, []],
      [2, ["oldapp.sess", "oldapp.sess.sig"]],
    ] as const) {
      vi.setSystemTime(Date.now() + seconds * 1000);
      const response = await browser.get("/whoami");
      expect(response.body.session).toEqual({ userId: "user-1" });
      expect(cookiesOf(response).set).toEqual(renewed);
    }
  });
});

import { describe, expect, it } from "vitest";
import type { Mode } from "../../src/index.js";
import { bearer, type Handler } from "../support/app.js";
import { held } from "../support/held.js";
import { cookieSessionSystem } from "../support/systems/cookie-session.js";
import { expressSessionSystem } from "../support/systems/express-session.js";
import { koaGenericSessionSystem } from "../support/systems/koa-generic-session.js";
import { koaSessionSystem } from "../support/systems/koa-session.js";
import {
  loggedIn,
  type Old,
  sessionOf,
  SeveralSources,
} from "../support/systems/several-sources.js";
import { pairIn } from "../support/tokens.js";

const koa = koaSessionSystem("7");
const on = new SeveralSources([koa, expressSessionSystem]);
const page = { headers: { "sec-fetch-dest": "document", "sec-fetch-mode": "navigate" } };
const usersOf = async (old: Old) => (await old.rows()).map(({ data }) => data["userId"]);

describe("A logout whose handler then throws", () => {
  const bye: Handler = (ctx) => {
    ctx.session = null;
    ctx.throw(401);
  };
  it.each<Mode>(["observe", "bridge", "drain"])("ends both sessions, in %s", async (mode) => {
    for (const order of ["koa-session first", "koa-session last"]) {
      const olds = [await on.old(koa), await on.old(expressSessionSystem)] as const;
      const legacy = order === "koa-session first" ? olds : [...olds].reverse();
      const app = await on.bridged(legacy, { mode, handlers: { "/bye": bye } });
      const browser = await loggedIn(app, { one: olds[0], two: olds[1] });
      const copy = browser.clone();

      expect((await browser.get("/bye")).status).toBe(401);

      for (const each of [browser, copy]) expect(await sessionOf(each)).toEqual({});
      for (const old of olds) expect(await old.rows()).toEqual([]);
    }
  });
});

describe("The session of a second cookie goes on", () => {
  it.each(
    [expressSessionSystem, cookieSessionSystem].map((system) => [system.name, system] as const),
  )("when one of %s is regenerated while a page is loaded", async (_, system) => {
    const [first, other] = [await on.old(system), await on.old(koa)];
    const form: Handler = async (ctx) => {
      await ctx.session.regenerate();
      ctx.session.userId = "new";
      ctx.body = {};
    };
    const app = await on.bridged([first, other], { handlers: { "/form": form } });
    const browser = await loggedIn(app, { first, other });

    expect((await browser.post("/form", page)).status).toBe(200);

    expect(await sessionOf(browser)).toEqual({ userId: "other" });
    expect(await usersOf(other)).toEqual(["other"]);
  });

  it("when a token's logout comes between, and the first's handler changes its session", async () => {
    for (const systems of [
      [koa, expressSessionSystem],
      [expressSessionSystem, koa],
    ] as const) {
      const slow = held((_, session) => (session.late = 1));
      const [first, other] = [await on.old(systems[0]), await on.old(systems[1])];
      const app = await on.bridged([first, other], { handlers: { "/slow": slow.handler } });
      const browser = await loggedIn(app, { first, other });
      const { accessToken } = pairIn(await browser.get("/whoami"));

      const pending = browser.clone().get("/slow");
      await slow.inside;
      await app.browser().get("/logout", bearer(accessToken));
      slow.goOn();
      await pending;

      expect(await usersOf(first)).toEqual([]);
      expect(await usersOf(other)).toEqual(["other"]);
      await on.pool.query(`truncate "session", "oldSession"`);
    }
  });
});

describe.each<Mode>(["observe", "bridge"])(
  "Beside a second cookie a deferred session of koa-generic-session that is read late, in %s,",
  (mode) => {
    /** A handler that looks at its session when the test lets it go on. */
    async function reading() {
      const old = await on.old(koaGenericSessionSystem, { options: { defer: true } });
      const other = await on.old(expressSessionSystem);
      let enter: () => void = () => undefined;
      let goOn: () => void = () => undefined;
      const inside = new Promise<void>((resolve) => (enter = resolve));
      const released = new Promise<void>((resolve) => (goOn = resolve));
      const late: Handler = async (ctx) => {
        enter();
        await released;
        const session = await ctx.session;
        ctx.body = { session: { ...session, cookie: undefined } };
        session.late = 1;
      };
      const handlers = { ...old.bridged.handlers, "/late": late };
      const app = await on.bridged([old, other], { mode, handlers });
      const browser = await loggedIn(app, { one: old, other });
      const pending = browser.clone().get("/late");
      await inside;
      return { old, browser, finish: async () => (goOn(), (await pending).body.session as object) };
    }

    it("is gone after a logout without the bridge", async () => {
      const { old, browser, finish } = await reading();
      await browser.clone({ baseUrl: old.plain.url }).get("/logout");
      expect(await finish()).toEqual({});
      expect(await usersOf(old)).not.toContain("one");
    });

    it("has what another request changed in between", async () => {
      const { old, browser, finish } = await reading();
      await browser.clone().get("/set?added=1");
      const changed = { userId: "one", added: "1" };
      expect(await finish()).toEqual(changed);
      expect(await old.rows()).toMatchObject([{ data: { ...changed, late: 1 } }]);
    });
  },
);

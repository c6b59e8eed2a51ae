import { beforeEach, describe, expect, it } from "vitest";
import type { Mode, Session, SessionBridgeOptions } from "../../src/index.js";
import {
  type AppOptions,
  bearer,
  cookieKeys,
  type Handler,
  MapStore,
  startBridgedApp,
  startPlainApp,
  tokensOf,
} from "../support/app.js";
import type { Browser } from "../support/client.js";
import { cookieName, type Flow, legacyKinds, startFlow } from "../support/flow.js";
import { koaSessionVersion } from "../support/versions.js";

const legacyModes: Mode[] = ["observe", "bridge", "drain"];
// koa-session 5 has no regenerate().
const hasRegenerate = koaSessionVersion !== "5";

const surfaceOf = (session: any) => ({
  isNew: Boolean(session.isNew),
  length: session.length as unknown,
  populated: session.populated as unknown,
  maxAge: session.maxAge as unknown,
  methods: ["save", "regenerate", "manuallyCommit", "toJSON"].filter(
    (name) => typeof session[name] === "function",
  ),
  json: session.toJSON() as unknown,
  spread: Object.keys(session as object).filter((name) => !/^_|^isNew$/.test(name)),
});

const handlers: Record<string, Handler> = {
  "/surface": (ctx) => {
    ctx.body = { ...surfaceOf(ctx.session), hasKey: typeof ctx.session.externalKey === "string" };
  },
  "/nested": (ctx) => {
    ctx.session.cart ??= { items: [] };
    ctx.session.cart.items.push("book");
  },
  "/delete": (ctx) => {
    delete ctx.session.userId;
  },
  "/set-and-regenerate": async (ctx) => {
    ctx.session = { userId: "user-2" };
    await ctx.session.regenerate();
  },
  "/options": (ctx) => {
    ctx.body = { key: (ctx as any).sessionOptions.key };
  },
  "/set-to-text": (ctx) => {
    ctx.session = "text";
  },
  "/commit-then-throw": async (ctx) => {
    ctx.session.kept = true;
    await ctx.session.manuallyCommit();
    ctx.body = { isNew: Boolean(ctx.session.isNew) };
  },
};

let flow: Flow;
let closing: (() => Promise<void>)[];

async function bridged(
  kind: "store" | "cookie",
  options: AppOptions & Partial<SessionBridgeOptions>,
) {
  flow = await startFlow(kind);
  const app = await startBridgedApp(flow.database.pool, {
    handlers,
    ...options,
    config: { ...flow.config, ...options.config },
  });
  closing.push(
    () => flow.close(),
    () => app.close(),
  );
  return app;
}

async function plain(config: object) {
  const app = await startPlainApp(config, handlers);
  closing.push(() => app.close());
  return app;
}

beforeEach(() => {
  closing = [];
  return async () => {
    for (const close of closing.reverse()) await close();
  };
});

describe.each(legacyKinds)("ctx.session of a %s cookie", (kind) => {
  it.each(legacyModes)("is koa-session's own in mode %s", async (mode) => {
    const app = await bridged(kind, { mode });
    const before = await plain({ ...flow.config });
    const old = await flow.login();

    const expected = await old.clone({ baseUrl: before.url }).get("/surface");
    for (const round of ["before", "after"]) {
      const { body } = await old.clone({ baseUrl: app.url }).get("/surface");
      expect({ round, ...body }).toEqual({ round, ...expected.body });
    }

    const options = await old.clone({ baseUrl: app.url }).get("/options");
    expect(options.body).toEqual({ key: cookieName });
    const refused = await old.clone({ baseUrl: app.url }).get("/set-to-text");
    expect(refused.status).toBe(500);
  });

  it.each(legacyModes)("writes nothing when untouched in mode %s", async (mode) => {
    const app = await bridged(kind, { mode });
    const browser = (await flow.login()).clone({ baseUrl: app.url });
    await browser.get("/whoami");
    const [old, sessions] = [await oldRows(), await flow.rows("sessionStore")];

    for (const path of ["/untouched", "/whoami", "/surface"]) {
      expect((await browser.get(path)).setCookie).toEqual([]);
    }

    expect(await oldRows()).toEqual(old);
    expect(await flow.rows("sessionStore")).toEqual(sessions);
  });

  if (hasRegenerate) {
    it("is moved to a new key by regenerate, and the old one ends", async () => {
      const app = await bridged(kind, {});
      const browser = (await flow.login()).clone({ baseUrl: app.url });
      const old = browser.clone();
      const before = tokensOf(await browser.get("/whoami")).accessToken;

      await browser.get("/regenerate");

      const after = await browser.get("/whoami");
      expect(after.body.session).toEqual({ userId: "user-1" });
      expect(tokensOf(after).accessToken).not.toBe(before);
      expect((await old.get("/whoami")).body.session).toEqual({});
      expect((await old.get("/whoami", bearer(before))).status).toBe(401);
      expect(await flow.loggedIn()).toBe(1);
    });

    it.each(legacyModes)("is kept when set anew, unread, and regenerated in %s", async (mode) => {
      const app = await bridged(kind, { mode });
      const browser = (await flow.login()).clone({ baseUrl: app.url });

      await browser.get("/set-and-regenerate");

      expect((await browser.get("/whoami")).body.session).toEqual({ userId: "user-2" });
    });
  }
});

const oldRows = async () =>
  (await flow.database.pool.query(`select * from "oldSession" order by 1`)).rows as unknown;

describe("The application's configuration", () => {
  it("is given to koa-session whole and is not changed", async () => {
    const called: string[] = [];
    const config = Object.freeze({
      key: "custom.sess",
      maxAge: 5_000,
      rolling: true,
      sameSite: "lax",
      valid: (_: unknown, value: { banned?: boolean }) => {
        called.push("valid");
        return value.banned === undefined;
      },
      beforeSave: () => called.push("beforeSave"),
      store: new MapStore(),
    });
    const app = await bridged("store", { config });
    const missed: unknown[] = [];
    app.app.on("session:missed", () => missed.push("missed"));
    app.app.on("session:invalid", () => missed.push("invalid"));
    const browser = app.browser();

    const { setCookie } = await browser.get("/login");
    expect(setCookie[0]).toMatch(/^custom\.sess=.*samesite=lax/);
    const rolled = await browser.get("/whoami");
    expect(rolled.setCookie[0]).toMatch(/^custom\.sess=/);
    await browser.get("/set?banned=yes");
    expect((await browser.get("/whoami")).body.session).toEqual({});
    await browser.get("/logout");
    expect(called.filter((name) => name === "valid")).toHaveLength(4);
    expect(called).toContain("beforeSave");
    expect(missed).toContain("invalid");
  });

  it("may turn autoCommit off", async () => {
    const app = await bridged("store", { config: { autoCommit: false } });
    const browser = (await flow.login()).clone({ baseUrl: app.url });
    await browser.get("/set?lost=1");
    await browser.get("/commit-then-throw");
    const { body } = await browser.get("/whoami");
    expect(body.session).toEqual({ userId: "user-1", kept: true });
  });

  it("with an older key goes on accepting and re-signing its cookies", async () => {
    const app = await bridged("store", { keys: [...cookieKeys].reverse() });
    const browser = (await flow.login()).clone({ baseUrl: app.url });
    const { body, setCookie } = await browser.get("/whoami");
    expect(body.session).toEqual({ userId: "user-1" });
    expect(setCookie).toHaveLength(1);
    expect(setCookie[0]).toMatch(new RegExp(`^${cookieName}\\.sig=`));
  });
});

describe("ctx.session of a bearer token", () => {
  let browser: Browser;
  let by: ReturnType<typeof bearer>;
  let inspected: (session: Session) => void | Promise<void>;

  beforeEach(async () => {
    const app = await bridged("store", {
      handlers: { ...handlers, "/inspect": (ctx) => inspected(ctx.session as Session) },
    });
    browser = (await flow.login()).clone({ baseUrl: app.url });
    by = bearer(tokensOf(await browser.get("/whoami")).accessToken);
  });

  it("has the surface that the cookie's has", async () => {
    const cookie = (await browser.get("/surface")).body;
    const { body } = await browser.get("/surface", by);
    expect(body).toEqual({
      ...cookie,
      hasKey: true,
      // The lifetime of the tokens is theirs.
      maxAge: 30 * 86_400_000,
      methods: ["save", "regenerate", "manuallyCommit", "toJSON"],
    });
  });

  it("keeps what is set, changed deep inside and deleted", async () => {
    await browser.get("/set?a=1", by);
    await browser.get("/nested", by);
    await browser.get("/nested", by);
    await browser.get("/delete", by);
    const expected = { a: "1", cart: { items: ["book", "book"] } };
    expect((await browser.get("/whoami", by)).body.session).toEqual(expected);
    expect((await browser.get("/whoami")).body.session).toEqual(expected);
  });

  it("writes nothing when untouched", async () => {
    await browser.get("/whoami", by);
    const [old, sessions] = [await oldRows(), await flow.rows("sessionStore")];
    flow.database.statements.reset();

    for (const path of ["/untouched", "/whoami", "/surface"]) await browser.get(path, by);

    const isWrite = (text: string) => /\b(insert|update|delete)\b/i.test(text);
    expect(flow.database.queries.filter(isWrite)).toEqual([]);
    expect(await oldRows()).toEqual(old);
    expect(await flow.rows("sessionStore")).toEqual(sessions);
  });

  it("keeps its id when replaced, and is gone when set to null", async () => {
    await browser.get("/login?user=user-2", by);
    const after = await browser.get("/whoami", by);
    expect(after.body).toEqual({ session: { userId: "user-2" }, isNew: false });
    expect(await flow.rows("sessionStore")).toHaveLength(1);

    const loggedOut = await browser.get("/logout", by);
    expect(loggedOut.body).toEqual({ session: null, isNew: false });
    expect((await browser.get("/whoami", by)).status).toBe(401);
  });

  it("moves to a new session with new tokens by regenerate", async () => {
    const regenerated = await browser.get("/regenerate", by);
    const { accessToken } = tokensOf(regenerated);
    expect(accessToken).toBeTypeOf("string");
    expect((await browser.get("/whoami", by)).status).toBe(401);
    const next = await browser.get("/whoami", bearer(accessToken));
    expect(next.body.session).toEqual({ userId: "user-1" });
  });

  it("stores at once by save and manuallyCommit, also with a callback", async () => {
    const seen: unknown[] = [];
    const stored = async () => (await flow.rows("sessionStore"))[0].data as object;
    inspected = async (session) => {
      session["step"] = 1;
      await session.manuallyCommit();
      seen.push(await stored());
      session["step"] = 2;
      await session.save();
      seen.push(await stored());
      session["step"] = 3;
      await new Promise((resolve) => void session.save(resolve));
      seen.push(await stored());
    };
    await browser.get("/inspect", by);
    const userId = "user-1";
    expect(seen).toEqual([1, 2, 3].map((step) => ({ userId, step })));
  });

  it("gets a lifetime of its own by maxAge, and its externalKey is the session's id", async () => {
    const [{ id }] = await flow.rows("sessionStore");
    inspected = (session) => {
      expect(session.externalKey).toBe(id);
      session.maxAge = 60_000;
      expect(session.maxAge).toBe(60_000);
    };
    expect((await browser.get("/inspect", by)).status).toBe(200);
    expect((await flow.rows("sessionStore"))[0].maxAgeInSeconds).toBe(60);
  });

  it("refuses to be set to anything but an object or null", async () => {
    expect((await browser.get("/set-to-text", by)).status).toBe(500);
    expect((await browser.get("/whoami", by)).body.session).toEqual({ userId: "user-1" });
  });
});

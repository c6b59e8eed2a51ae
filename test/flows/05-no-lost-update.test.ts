import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { bearer, type Handler, startBridgedApp, tokensOf } from "../support/app.js";
import type { Browser, BrowserResponse } from "../support/client.js";
import { storeKeyOf, legacyKinds, startFlow, withCluster } from "../support/flow.js";

const commits = 100;
const allKeys = Object.fromEntries(
  Array.from({ length: commits }, (_, index) => [`key${index}`, String(index)]),
);

const credentials = {
  bearer: () => true,
  cookie: () => false,
  "both credentials": (index: number) => index % 2 === 0,
};

describe.each(legacyKinds)("Commits at the same time to one %s session", (kind) => {
  const running = withCluster(kind);

  it.each(Object.entries(credentials))(
    `by %s, ${commits} of them in four processes, are all kept`,
    async (_, isBearer) => {
      const { flow, on } = running;
      const browser = await flow.login();
      const { accessToken } = tokensOf(await on(browser, 0).get("/whoami"));

      const responses = await Promise.all(
        Object.entries(allKeys).map(([name, value], index) => {
          const by = isBearer(index) ? bearer(accessToken) : {};
          return on(browser, index).get(`/set?${name}=${value}`, by);
        }),
      );

      expect(responses.filter(({ status }) => status !== 200)).toEqual([]);
      const expected = { userId: "user-1", ...allKeys };
      const byBearer = await on(browser, 1).get("/whoami", bearer(accessToken));
      expect(byBearer.body.session).toEqual(expected);
      const byCookie = await on(browser, 2).get("/whoami");
      expect(byCookie.body.session).toEqual(expected);
      if (kind === "store") {
        expect(await flow.store.get(storeKeyOf(browser))).toMatchObject(expected);
      }
    },
  );
});

// Each request reads the session, then waits to be told to go on.
function gate() {
  const gates = new Map<string, { reached: () => void; open: Promise<void> }>();
  const handler: Handler = async (ctx) => {
    const { name, ...changes } = ctx.query;
    void ctx.session.userId;
    const { reached, open } = gates.get(String(name))!;
    reached();
    await open;
    Object.assign(ctx.session, changes);
  };
  /** Sends the request and resolves once it has read the session; the result lets it go on. */
  async function start(name: string, send: () => Promise<BrowserResponse>) {
    let goOn = () => {};
    const open = new Promise<void>((resolve) => (goOn = resolve));
    const arrived = new Promise<void>((resolve) => gates.set(name, { reached: resolve, open }));
    const response = send();
    await Promise.race([arrived, response]);
    return () => {
      goOn();
      return response;
    };
  }
  return { handler, start };
}

describe.each(legacyKinds)("Two commits that both read a %s session before either", (kind) => {
  const pairs = [
    ["bearer", "bearer"],
    ["bearer", "cookie"],
    ["cookie", "bearer"],
    ["cookie", "cookie"],
  ] as const;

  it.each(pairs)("first by %s, later by %s: the later wins the same key", async (first, later) => {
    const flow = await startFlow(kind);
    const { handler, start } = gate();
    const app = await startBridgedApp(flow.database.pool, {
      config: flow.config,
      handlers: { "/gate": handler },
    });
    const browser = (await flow.login()).clone({ baseUrl: app.url });
    const { accessToken } = tokensOf(await browser.get("/set?removed=soon"));
    const send = (by: string, path: string) => (tab: Browser) =>
      tab.get(path, by === "bearer" ? bearer(accessToken) : {});
    const tabs = [browser.clone(), browser.clone()] as const;

    const finishLater = await start("later", () =>
      send(later, "/gate?name=later&same=later&ofLater=1")(tabs[0]),
    );
    const finishFirst = await start("first", () =>
      send(first, "/gate?name=first&same=first&ofFirst=1")(tabs[1]),
    );
    const firstResponse = await finishFirst();
    const laterResponse = await finishLater();

    expect([firstResponse.status, laterResponse.status]).toEqual([200, 200]);
    const expected = {
      userId: "user-1",
      removed: "soon",
      same: "later",
      ofFirst: "1",
      ofLater: "1",
    };
    const afterwards = await browser.get("/whoami", bearer(accessToken));
    expect(afterwards.body.session).toEqual(expected);
    expect((await browser.get("/whoami")).body.session).toEqual(expected);
    await app.close();
    await flow.close();
  });
});

it.each(legacyKinds)(
  "What a handler changes while its %s session is stored is kept",
  async (kind) => {
    const flow = await startFlow(kind);
    const { queries } = flow.database;
    const app = await startBridgedApp(flow.database.pool, {
      config: flow.config,
      handlers: {
        "/change-while-saving": async (ctx) => {
          const before = queries.length;
          const isSent = () => queries.slice(before).some((text) => text.includes("|| $3::jsonb"));
          ctx.session.cart = { first: 1 };
          const saving = ctx.session.save();
          // With the data in the cookie it is stored when the handler is done.
          for (let turns = 0; !isSent() && turns < 200; turns += 1) await turn();
          ctx.session.cart.second = 2;
          await saving;
        },
      },
    });
    const browser = (await flow.login()).clone({ baseUrl: app.url });
    const { accessToken } = tokensOf(await browser.get("/whoami"));
    for (const by of [{}, bearer(accessToken)]) {
      await browser.get("/set?cart=none", by);
      await browser.get("/change-while-saving", by);
      const { session } = (await browser.get("/whoami", by)).body;
      expect(session).toEqual({ userId: "user-1", cart: { first: 1, second: 2 } });
    }
    await app.close();
    await flow.close();
  },
);

import { EventEmitter, once } from "node:events";
import { beforeEach, describe, expect, it } from "vitest";
import { bearer, startBridgedApp, tokensOf } from "../support/app.js";
import type { Browser } from "../support/client.js";
import { type Flow, startFlow, storeKeyOf } from "../support/flow.js";
import type { PgLegacyStore } from "../support/pg-legacy-store.js";

describe("The old store, written by several requests at once", () => {
  let flow: Flow;
  let store: PgLegacyStore;
  /** Writes to the old store; `store.set` is what a test puts before it. */
  let set: PgLegacyStore["set"];
  let browser: Browser;
  let by: ReturnType<typeof bearer>;

  beforeEach(async () => {
    flow = await startFlow("store");
    store = flow.store;
    set = store.set.bind(store);
    const app = await startBridgedApp(flow.database.pool, {
      config: flow.config,
      handlers: {
        // Another commit comes between the reading of the session and its own.
        "/merge": async (ctx) => {
          void ctx.session.userId;
          await browser.clone().get("/set?other=1", by);
          ctx.session.mine = "1";
        },
      },
    });
    browser = (await flow.login()).clone({ baseUrl: app.url });
    by = bearer(tokensOf(await browser.get("/set?at=upgrade")).accessToken);
    return async () => {
      await app.close();
      await flow.close();
    };
  });

  it.each(["cookie", "bearer"])("ends with the truth when commits by %s overlap", async (way) => {
    const options = way === "bearer" ? by : {};
    // Another commit to the same member comes and goes while this one is being written.
    store.set = async (...args) => {
      store.set = set;
      await set(...args);
      await browser.clone().get("/set?same=other", options);
    };

    await browser.clone().get("/set?same=mine", options);

    const [{ data }] = await flow.rows("sessionStore");
    expect(await store.get(storeKeyOf(browser))).toMatchObject(data as object);
  });

  it("ends with the truth when the write of a merged commit is late", async () => {
    store.set = async (key, value) => {
      if (value !== null && typeof value === "object" && "other" in value && "mine" in value) {
        store.set = set;
        await browser.clone().get("/set?last=1", by);
      }
      await set(key, value);
    };

    await browser.get("/merge", by);

    const expected = { userId: "user-1", at: "upgrade", other: "1", mine: "1", last: "1" };
    expect((await browser.get("/whoami", by)).body.session).toEqual(expected);
    expect(await store.get(storeKeyOf(browser))).toMatchObject(expected);
  });

  it("ends with the truth when such a write comes between another commit and its write", async () => {
    const steps = new EventEmitter();
    const merged = once(steps, "merged");
    let ofLast: Promise<unknown> | undefined;
    let isHeld = false;
    store.set = async (key, value) => {
      const { mine, other, last: isLast } = value as Record<string, unknown>;
      if (mine !== undefined && other !== undefined && ofLast === undefined) {
        const written = once(steps, "last is written");
        ofLast = browser.clone().get("/set?last=1", by);
        await written;
      }
      await set(key, value);
      if (isLast === undefined || isHeld) return;
      isHeld = true;
      steps.emit("last is written");
      await merged;
    };

    await browser.get("/merge", by);
    steps.emit("merged");
    await ofLast;

    expect((await browser.get("/whoami", by)).body.session).toHaveProperty("last");
    expect(await store.get(storeKeyOf(browser))).toMatchObject({
      mine: "1",
      other: "1",
      last: "1",
    });
  });
});

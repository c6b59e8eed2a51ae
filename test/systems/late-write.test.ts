import { describe, expect, it } from "vitest";
import { bearer, MapStore } from "../support/app.js";
import { named } from "../support/systems/index.js";
import { koaGenericSessionSystem } from "../support/systems/koa-generic-session.js";
import { koaSessionMinimalSystem } from "../support/systems/koa-session-minimal.js";
import { koaSessionSystem } from "../support/systems/koa-session.js";
import { flowsOfTest } from "../support/systems/system-flow.js";

const start = flowsOfTest();

/** Its next write comes when the test lets it. */
class LateStore extends MapStore {
  #released: Promise<void> | undefined;
  written = false;

  holdNextWrite(): () => void {
    let release: () => void = () => undefined;
    this.#released = new Promise((resolve) => (release = resolve));
    return release;
  }

  override async set(key: string, value: unknown): Promise<void> {
    const released = this.#released;
    this.#released = undefined;
    await released;
    await super.set(key, value);
    if (released !== undefined) this.written = true;
  }
}

const systems = named([koaSessionSystem("7"), koaSessionMinimalSystem, koaGenericSessionSystem]);

describe.each(systems)("A write to the old store of %s that was given up", (_, system) => {
  it.each([
    ["token", true],
    ["cookie", false],
  ])("and comes after a logout by %s leaves no session there", async (_, isByToken) => {
    const store = new LateStore();
    const flow = await start(system, { options: { store } });
    const app = await flow.bridged();
    const { browser, pair } = await flow.upgraded(app);
    const copy = browser.clone();
    const release = store.holdNextWrite();

    expect((await app.browser().get("/set?a=1", bearer(pair.accessToken))).status).toBe(200);
    const { status } = isByToken
      ? await app.browser().get("/logout", bearer(pair.accessToken))
      : await browser.get("/logout");
    release();

    expect(status).toBe(200);
    await expect.poll(() => store.written).toBe(true);
    await expect.poll(() => store.entries.size).toBe(0);
    expect((await copy.get("/whoami")).body.session).toEqual({});
    expect(app.bridgeErrors).toMatchObject([{ code: "legacy-store-unavailable" }]);
  });
});

import { describe, expect, it } from "vitest";
import { namedSystems } from "../support/systems/index.js";
import { flowsOfTest } from "../support/systems/system-flow.js";

const start = flowsOfTest();
const regenerating = namedSystems.filter(
  ([, { hasStore, canRegenerate, isReadOnly }]) => hasStore && canRegenerate && !isReadOnly,
);

describe.each(regenerating)("While draining, a session of %s", (_, system) => {
  it("that is regenerated ends when the first one would have", async () => {
    const flow = await start(system);
    const { browser } = await flow.upgraded(await flow.bridged());
    const [before] = await flow.tableRows("sessionBridgeLink");
    const draining = await flow.bridged({ mode: "drain" });
    await new Promise((resolve) => setTimeout(resolve, 20));

    const moved = browser.clone({ baseUrl: draining.url });
    const response = await moved.get("/regenerate");

    expect(response.body.session).toEqual({ userId: "user-1" });
    const links = await flow.tableRows("sessionBridgeLink");
    expect(links).toHaveLength(2);
    expect(links.map(({ expiresAt }) => expiresAt as Date)).toEqual([
      before.expiresAt,
      before.expiresAt,
    ]);
    expect((await moved.get("/whoami")).body.session).toEqual({ userId: "user-1" });
  });
});

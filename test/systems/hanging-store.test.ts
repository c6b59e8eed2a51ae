import { describe, expect, it } from "vitest";
import { bearer } from "../support/app.js";
import { named, oldSystems } from "../support/systems/index.js";
import { flowsOfTest } from "../support/systems/system-flow.js";
import { whoami } from "../support/tokens.js";

const start = flowsOfTest();
const withStores = named(oldSystems.filter(({ hasStore }) => hasStore));

describe.each(withStores)("An old store of %s that does not answer", (_, system) => {
  it("holds up no request by token for longer than 3 s, and the operator is told", async () => {
    const flow = await start(system);
    const app = await flow.bridged();
    const { pair } = await flow.upgraded(app);
    const { pool } = flow.database;
    const { rows } = await pool.query<{ name: string }>(
      `select "tablename" as "name" from "pg_tables" where "tablename" in ('session', 'oldSession')`,
    );
    const holder = await pool.connect();
    await holder.query(`begin; lock table "${rows[0]!.name}" in access exclusive mode`);
    const timed = async (path: string) => {
      const begunAt = Date.now();
      const { status } = await app.browser().get(path, bearer(pair.accessToken));
      return { status, isInTime: Date.now() - begunAt < 3000 };
    };

    try {
      for (const path of ["/whoami", "/set?by=bearer", "/logout"]) {
        expect(await timed(path)).toEqual({ status: 200, isInTime: true });
      }
    } finally {
      await holder.query("rollback");
      holder.release();
    }

    expect((await whoami(app.url, pair)).status).toBe(401);
    expect(app.errors).toEqual([]);
    expect(app.bridgeErrors.length).toBeGreaterThanOrEqual(2);
    for (const error of app.bridgeErrors) {
      expect(error).toMatchObject({ code: "legacy-store-unavailable" });
    }
  });
});

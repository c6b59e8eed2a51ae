import { setTimeout as sleep } from "node:timers/promises";
import type { Context } from "koa";
import { expect, test } from "vitest";
import { createModeFlag } from "../../src/mode.js";
import { createFleetFlag } from "../../src/mode-poll.js";
import { createDatabase, type Pool } from "../../src/store/database.js";
import { changeMode } from "../../src/store/mode-log.js";
import { testDatabase } from "../support/database.js";

test("whoever comes after close waits for the first look at the flag, where one is under way", async () => {
  const database = await testDatabase();
  const clock = () => new Date();
  const open = (pool: Pool) =>
    createDatabase({
      pool,
      preparedStatements: false,
      clock,
      generateId: () => crypto.randomUUID(),
    });
  await changeMode(open(database.pool), { mode: "tokens", defaultMode: "bridge", by: "a test" });
  const slow = {
    query: async (query: { text: string; values: unknown[] }) => {
      await sleep(100);
      return database.pool.query(query);
    },
  } as unknown as Pool;
  const tell = (error: Error) => {
    throw error;
  };
  const fleet = createFleetFlag(open(slow), undefined, { tell, changed: () => undefined });
  const flag = createModeFlag({ from: "database", mode: undefined }, fleet, tell, clock);
  const before = flag.of({} as Context);
  flag.close();
  expect(await flag.of({} as Context)).toBe("tokens");
  expect(await before).toBe("tokens");
  await database.drop();
});

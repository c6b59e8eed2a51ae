import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bearer, type Handler } from "../support/app.js";
import { expressSessionSystem } from "../support/systems/express-session.js";
import { koaSessionSystem } from "../support/systems/koa-session.js";
import type { OldSystem } from "../support/systems/old-system.js";
import { flowsOfTest } from "../support/systems/system-flow.js";

const start = flowsOfTest();
const unhandled: unknown[] = [];
let others: NodeJS.UnhandledRejectionListener[];

const keep = (reason: unknown) => unhandled.push(reason);
beforeEach(() => {
  others = process.listeners("unhandledRejection");
  process.removeAllListeners("unhandledRejection").on("unhandledRejection", keep);
});
afterEach(() => {
  process.removeAllListeners("unhandledRejection");
  for (const other of others) process.on("unhandledRejection", other);
  unhandled.splice(0);
});

describe("A handler that does not wait for what it has stored, while nothing can be,", () => {
  const calls: Record<string, Handler> = {
    "save()": (ctx) => void ctx.session.save(),
    "manuallyCommit()": (ctx) => void ctx.session.manuallyCommit(),
  };
  const requests: [by: string, system: OldSystem, isByToken: boolean][] = [
    ["a token", koaSessionSystem("5"), true],
    ["a cookie of express-session", expressSessionSystem, false],
  ];
  it.each(
    requests.flatMap(([by, ...row]) =>
      Object.entries(calls).map(([name, call]) => [name, by, call, ...row] as const),
    ),
  )(
    "%s, by %s, is answered 503 and leaves no rejection",
    async (_, __, call, system, isByToken) => {
      const flow = await start(system);
      const change: Handler = (ctx) => {
        ctx.session.changed = true;
        call(ctx);
        ctx.body = {};
      };
      const handlers = { ...flow.application.bridged.handlers, "/change": change };
      const app = await flow.bridged({ handlers });
      const { browser, pair } = await flow.upgraded(app);
      await flow.database.pool.query(
        `create function "refuse"() returns trigger language plpgsql
      as $$ begin raise exception 'no space left'; end $$;
      create trigger "full" before update on "sessionStore" execute function "refuse"()`,
      );

      const { status } = isByToken
        ? await app.browser().get("/change", bearer(pair.accessToken))
        : await browser.get("/change");

      await sleep(50);
      expect(status).toBe(503);
      expect(unhandled).toEqual([]);
    },
  );
});

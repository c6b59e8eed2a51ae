import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Mode } from "../../src/index.js";
import { bearer, startBridgedApp, tokensOf } from "../support/app.js";
import type { Browser } from "../support/client.js";
import { testDatabase, type TestDatabase } from "../support/database.js";
import type { Seen } from "../support/differential.js";
import { startPlainKoa } from "../support/systems/plain-koa.js";
import { operateWith, send, sequencesOf, type Step } from "../support/systems/random-operations.js";
import { dataOf, handlersOf } from "../support/systems/session-api.js";
import { Side, variants } from "../support/systems/variants.js";

const runs = Number(process.env["DIFFERENTIAL_RUNS"] ?? 15);
const seed = Number(process.env["DIFFERENTIAL_SEED"] ?? 1);
const start = new Date("2026-06-01T12:00:00Z");

let database: TestDatabase;
beforeEach(async () => {
  database = await testDatabase();
  // Both sides at the very same time, which moves when a sequence says so. PostgreSQL has its own.
  vi.useFakeTimers({ toFake: ["Date"], now: start });
});
afterEach(async () => {
  vi.useRealTimers();
  await database.drop();
});

const cases = Object.entries(variants).flatMap(([name, variant]) =>
  (["observe", "bridge"] as const).map((mode) => [name, mode, variant] as const),
);

describe(`Any sequence of session operations, from seed ${seed}`, () => {
  it.each(cases)("with %s looks like the package alone in %s", async (name, mode, variant) => {
    const sides = [new Side(), new Side()] as const;
    const handlers = {
      ...handlersOf({
        read: (on) => on.session,
        replace: () => undefined,
        remove: () => undefined,
      }),
      "/operate": operateWith(variant.vocabulary),
    };
    const plain = await startPlainKoa((app) => variant.plain(sides[0], app), {
      ...variant.setUp,
      handlers,
    });
    const bridged = await startBridgedApp(database.pool, {
      ...variant.setUp,
      handlers,
      legacy: variant.source(sides[1]),
      mode,
    });
    const numbering = name.startsWith("koa-session-minimal") ? numbered : same;

    async function play(browser: Browser, sequence: readonly Step[], side: Side) {
      vi.setSystemTime(start);
      const tabs = [browser, browser.clone({ shared: true }), browser.clone({ shared: true })];
      const seen: Seen[] = [];
      for (const step of sequence) {
        vi.setSystemTime(Date.now() + step.secondsLater * 1000);
        seen.push(await send(tabs[step.tab]!, step, (_, value) => value));
      }
      const played = numbering({ seen, rows: side.rows() });
      played.rows.sort(byKey);
      return played;
    }

    const property = fc.asyncProperty(sequencesOf(variant.vocabulary), async (sequence) => {
      for (const side of sides) side.restart();
      await database.pool.query(`truncate "sessionStore", "sessionBridgeLink" cascade`);
      const expected = await play(plain.browser(), sequence, sides[0]);
      const browser = bridged.browser();
      expect(await play(browser, sequence, sides[1])).toEqual(expected);
      const seconds = sequence.reduce((sum, { secondsLater }) => sum + secondsLater, 0);
      await expectOneTruth(browser, mode, seconds < 30);
      // Emptied, so that a shorter sequence is not blamed for a longer one's.
      expect([...bridged.errors.splice(0), ...bridged.bridgeErrors.splice(0)]).toEqual([]);
    });
    try {
      await fc.assert(property, { seed, numRuns: runs });
    } finally {
      await plain.close();
      await bridged.close();
    }
  });
});

const byKey = ([a]: [string, ...unknown[]], [b]: [string, ...unknown[]]) => (a < b ? -1 : 1);
const same = <Value>(value: Value): Value => value;

/** Puts numbers for random ids, in the order in which they turn up. */
function numbered<Value>(value: Value): Value {
  const ids: string[] = [];
  const text = JSON.stringify(value).replace(/(?<![\w-])[\w-]{32}(?![\w-])/g, (id) => {
    if (!ids.includes(id)) ids.push(id);
    return `id ${ids.indexOf(id)}`;
  });
  return JSON.parse(text) as Value;
}

/** What the cookie shows is what the tokens show. Nothing else is alive, unless a cookie has expired. */
async function expectOneTruth(browser: Browser, mode: Mode, isOnly: boolean): Promise<void> {
  const { rows } = await database.pool.query<{ data: unknown }>(
    `select "data" from "sessionStore" where "revokedAt" is null`,
  );
  if (mode === "observe") expect(rows).toEqual([]);
  const response = await browser.get("/whoami");
  const { accessToken } = tokensOf(response);
  if (accessToken === undefined) return;
  const shown = dataOf(response.body.session);
  if (isOnly) expect(rows.map(({ data }) => data)).toEqual([shown]);
  const byBearer = await browser.get("/whoami", bearer(accessToken));
  expect(dataOf(byBearer.body.session)).toEqual(shown);
}

import { setTimeout as pause } from "node:timers/promises";
import type { MigrationStatus } from "../monitor/migration-status.js";
import { readMigrationStatus } from "../monitor/status.js";
import { defineCommand, duration, printJson, UsageError } from "./command.js";
import { databaseHelp, databaseOption, reasonOf, withDatabase } from "./connection.js";
import { interruptible } from "./interrupt.js";
import { appHelp, appOption, loadBridge } from "./load-bridge.js";
import { renderStatus } from "./render-status.js";
import { createScreen } from "./screen.js";
import { createStyle } from "./style.js";

const help = `Usage: koa-session-bridge status [--watch [SECONDS]] [--check] [--json] [--app FILE]

Shows how the migration of the whole fleet goes: the mode, the processes, the verdict, the counts of the
last 30 days (UTC), sessions by source, and who still comes with a cookie.

Options:
  --watch     draw it again every so many seconds (default 2), until Ctrl-C
  --check     exit code 3 unless the verdict is "safe to drain" or "safe to drop"
  --json      print it as JSON: bridge.status()
${appHelp}
${databaseHelp}
  --help      show this

Examples:
  koa-session-bridge status --watch
  koa-session-bridge status --check && koa-session-bridge mode drain
  koa-session-bridge status --json | jq .verdict

Colours are for terminals; NO_COLOR and FORCE_COLOR are respected.

Exit codes: 0 shown, 1 failed, 2 wrong usage; with --check: 3 the verdict is "not yet".
`;

const notYet = 3;

export const statusCommand = defineCommand({
  name: "status",
  summary: "how the migration goes, and what to do next",
  help,
  options: {
    ...databaseOption,
    ...appOption,
    watch: { type: "string" },
    check: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
  defaultValues: { watch: "2" },
  async run({ database, app, watch, check, json }) {
    const seconds = watch === undefined ? undefined : readSeconds(watch);
    if (seconds !== undefined && (check || json))
      throw new UsageError(
        "--watch goes with neither --check nor --json: run it again and again for those.",
      );
    const bridge = await loadBridge(app);
    if (bridge !== undefined) return show(() => bridge.status(), seconds, { check, json });
    return withDatabase(database, (db) =>
      show(() => readMigrationStatus(db), seconds, { check, json }),
    );
  },
});

function readSeconds(given: string): number {
  const seconds = /^\d+(\.\d+)?$/.test(given) ? Number(given) : duration("--watch", given);
  if (seconds >= 0.2 && seconds <= 3600) return seconds;
  throw new UsageError(`--watch takes 0.2 to 3600 seconds, got ${JSON.stringify(given)}.`);
}

async function show(
  read: () => Promise<MigrationStatus>,
  seconds: number | undefined,
  { check, json }: { check: boolean; json: boolean },
): Promise<number> {
  if (seconds !== undefined) return watch(read, seconds);
  const status = await read();
  if (json) printJson(status);
  else process.stdout.write(`${linesOf(status).join("\n")}\n`);
  return check && status.verdict.answer === "not yet" ? notYet : 0;
}

const linesOf = (status: MigrationStatus, height?: number) =>
  renderStatus(status, {
    style: createStyle(process.stdout),
    width: Math.min(process.stdout.columns ?? 110, 140),
    ...(height !== undefined && { height }),
  });

async function watch(read: () => Promise<MigrationStatus>, seconds: number): Promise<number> {
  const style = createStyle(process.stdout);
  const screen = createScreen(process.stdout);
  let last: MigrationStatus | undefined;
  await interruptible(async (signal) => {
    try {
      while (!signal.aborted) {
        try {
          last = await read();
          screen.draw(linesOf(last, process.stdout.rows));
        } catch (error) {
          const failed = style.red(`${new Date().toISOString().slice(11, 19)} ${reasonOf(error)}`);
          screen.draw([
            failed,
            "",
            ...(last === undefined ? [] : linesOf(last, process.stdout.rows - 2)),
          ]);
        }
        await pause(seconds * 1000, undefined, { signal }).catch(() => undefined);
      }
    } finally {
      screen.close();
    }
  });
  return 0;
}

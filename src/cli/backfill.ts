import type { SessionBridge } from "../session-bridge.js";
import { BridgeError } from "../errors.js";
import type { BackfillCounts, BackfillResult } from "../legacy/backfill.js";
import { CommandError, defineCommand, positive, printJson, UsageError } from "./command.js";
import { reasonOf } from "./connection.js";
import { interruptible } from "./interrupt.js";
import { appHelp, appOption, withBridge } from "./load-bridge.js";
import { createProgress } from "./progress.js";

const help = `Usage: koa-session-bridge backfill --app FILE [options]

Upgrades the sessions of the old stores now, instead of with their next request: exactly once each, beside
live traffic. Afterwards the old stores hold nothing that the bridge needs. Safe to stop and to repeat: it
goes on where it stopped. Refused while a process of the fleet is in mode observe.

Options:
${appHelp}
  --rate      sessions a second at most; default 500
  --concurrency
              statements under way at once at most; default 4
  --source    the name of the one old system to upgrade; default: all
  --dry-run   only count
  --json      print the result as JSON
  --help      show this

Examples:
  koa-session-bridge backfill --app dist/bridge.js --dry-run
  koa-session-bridge backfill --app dist/bridge.js --rate 2000

Exit codes: 0 done, 1 failed, or some sessions could not be upgraded, 2 wrong usage, 130 interrupted.
`;

export const backfill = defineCommand({
  name: "backfill",
  summary: "upgrade the sessions of the old stores ahead of their next request",
  help,
  options: {
    ...appOption,
    rate: { type: "string" },
    concurrency: { type: "string" },
    source: { type: "string" },
    "dry-run": { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
  run({ app, rate, concurrency, source, "dry-run": isDryRun, json }) {
    const ratePerSecond = positive("--rate", rate, 500);
    const workers = positive("--concurrency", concurrency, 4);
    if (!Number.isInteger(workers)) throw new UsageError("--concurrency must be a whole number.");
    const chosen = source === undefined ? {} : { source };
    return withBridge(app, async (bridge) => {
      const failures = failuresOf(bridge);
      const showProgress = createBackfillProgress();
      try {
        const onProgress = isDryRun ? undefined : showProgress.show;
        const { result, isInterrupted } = await interruptible(async (signal) => {
          const options = { ratePerSecond, concurrency: workers, signal, isDryRun, ...chosen };
          const result = await bridge.backfill({ ...options, ...(onProgress && { onProgress }) });
          return { result, isInterrupted: signal.aborted };
        });
        showProgress.end();
        const left = isInterrupted ? await countLeft(bridge, chosen) : undefined;
        if (json) printJson({ sources: result, ...(isInterrupted && { left }) });
        else process.stdout.write(summaryOf(result, isDryRun));
        failures.print();
        if (isInterrupted) {
          process.stderr.write(
            `Stopped: ${sessions(left ?? 0)} left. Run the command again, and it goes on from here.\n`,
          );
          return 130;
        }
        return sum(result, "failed") > 0 ? 1 : 0;
      } catch (error) {
        showProgress.end();
        failures.print();
        throw commandErrorOf(error);
      }
    });
  },
});

async function countLeft(bridge: SessionBridge, chosen: { source?: string }): Promise<number> {
  return sum(await bridge.backfill({ isDryRun: true, ...chosen }), "found");
}

const countsIn = (result: BackfillResult) =>
  Object.values(result).filter((counts): counts is BackfillCounts => typeof counts === "object");

const sum = (result: BackfillResult, name: keyof BackfillCounts) =>
  countsIn(result).reduce((total, counts) => total + counts[name], 0);

const figure = (count: number) => count.toLocaleString("en-US");
const sessions = (count: number) => `${figure(count)} ${count === 1 ? "session" : "sessions"}`;

const outcomes = [
  ["upgraded", "upgraded"],
  ["already", "upgraded or ended by somebody else meanwhile"],
  ["gone", "ended or expired before"],
  ["failed", "failed"],
  ["notUpgradable", "no sessions"],
] as const satisfies [keyof BackfillCounts, string][];

function createBackfillProgress() {
  const progress = createProgress();
  let startedAt: number | undefined;
  return {
    show: (result: BackfillResult) => {
      startedAt ??= performance.now();
      const found = sum(result, "found");
      const done = outcomes.reduce((total, [name]) => total + sum(result, name), 0);
      if (found === 0) return;
      const perSecond = (done * 1000) / Math.max(performance.now() - startedAt, 1);
      const failed = sum(result, "failed");
      const parts = [
        `${figure(done)} of ${sessions(found)}`,
        ...(done === 0 ? [] : [`${figure(Math.round(perSecond))}/s`]),
        ...(done === 0 || done >= found ? [] : [`${timeOf((found - done) / perSecond)} left`]),
        ...(failed === 0 ? [] : [`${figure(failed)} failed`]),
      ];
      progress.show(done / found, parts.join(", "));
    },
    end: () => {
      progress.end();
    },
  };
}

function timeOf(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return seconds < 5400 ? `${Math.ceil(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

const whatToDo = {
  "data-in-cookies": "its sessions are in the cookies alone; requests upgrade them one by one",
  "not-listable":
    "its store cannot list its sessions. Give the store a method keys() that does, or leave them to requests until their cookies have expired",
};

function summaryOf(result: BackfillResult, isDryRun: boolean): string {
  const lines = Object.entries(result).flatMap(([name, counts]) => {
    if (typeof counts === "string") return [`${name}: ${whatToDo[counts]}.`];
    if (isDryRun) return [`${name}: ${sessions(counts.found)} not upgraded yet.`];
    if (counts.found === 0) return [`${name}: no session is left to upgrade.`];
    const told = outcomes.filter(([each]) => each === "upgraded" || counts[each] > 0);
    const figures = told.map(([each]) => figure(counts[each]));
    const width = Math.max(...figures.map((text) => text.length));
    return [
      `${name}:`,
      ...told.map(([, what], index) => `  ${figures[index]?.padStart(width)} ${what}`),
    ];
  });
  return `${lines.join("\n")}\n`;
}

const shownFailures = 5;

/** Why sessions failed, each reason once. A cause may quote a session, so it is left out but for its code. */
function failuresOf(bridge: SessionBridge) {
  const counts = new Map<string, number>();
  bridge.on("error", (error) => {
    const reason = publicReasonOf(error);
    counts.set(reason, (counts.get(reason) ?? 0) + 1);
  });
  return {
    print() {
      const all = [...counts].sort(([, a], [, b]) => b - a);
      for (const [reason, count] of all.slice(0, shownFailures)) {
        process.stderr.write(`${figure(count)} × ${reason}\n`);
      }
      if (all.length > shownFailures) {
        process.stderr.write(`and ${all.length - shownFailures} further kinds of failures\n`);
      }
    },
  };
}

function publicReasonOf(error: Error): string {
  if (!(error instanceof BridgeError))
    return `${error.name}: the bridge's event "error" tells more`;
  const { cause } = error;
  const code = cause instanceof Error && "code" in cause ? ` (${String(cause.code)})` : "";
  return `${error.message}${code}`;
}

function commandErrorOf(error: unknown): unknown {
  if (error instanceof TypeError && error.message.startsWith("bridge.backfill"))
    return new UsageError(error.message);
  if (!(error instanceof BridgeError)) return error;
  if (error.code === "issuing-disabled" && error.cause instanceof Error) {
    return new CommandError(error.cause.message);
  }
  const isOurs = error.code !== "legacy-store-unavailable";
  const reason = isOurs ? reasonOf(error) : publicReasonOf(error);
  return new CommandError(`${reason}\nWhat has been upgraded stays; run the command again later.`);
}

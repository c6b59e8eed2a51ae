import { setTimeout as pause } from "node:timers/promises";
import { readNewestProcess } from "../monitor/status.js";
import { type Cleaned, deleteExpired } from "../store/cleanup.js";
import { type CleanedCounts, deleteOldCounts } from "../store/cleanup-counts.js";
import { defineCommand, positive, printJson, UsageError } from "./command.js";
import { databaseHelp, databaseOption, withDatabase } from "./connection.js";
import { interruptible } from "./interrupt.js";
import { createProgress } from "./progress.js";
import { createStyle } from "./style.js";
import { columns, number, span } from "./text.js";

const help = `Usage: koa-session-bridge cleanup [--dry-run] [options]

Deletes what nobody needs any more, page by page: tokens that expired or were revoked long ago, sessions
left without any that no cookie opens either, the tombstones of expired cookies, counts older than 400
days, and processes not seen for 30 days. Run it daily, by cron say. It can be stopped at any time.

Options:
  --dry-run   count what would go, by the same conditions, and delete nothing
  --max-revoked-age-in-days N
              keep what expired or was revoked this lately; default 14
  --cookie-linger-in-seconds N
              the application's cookieLingerInSeconds; default: as its processes told, else 86400
  --batch-size N
              about so many rows are looked at in one statement; default 5000
  --pause-ms N
              rest after each statement, for a busy database; default 0
  --json      print the result as JSON
${databaseHelp}
  --help      show this

Examples:
  koa-session-bridge cleanup --dry-run
  koa-session-bridge cleanup --batch-size 1000 --pause-ms 50

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted (what was deleted is gone; run it again).
`;

const interrupted = 130;
// Of an application that sets none; without the bridge there is no process, and no cookie.
const defaultLinger = 86_400;
const dayInMs = 24 * 60 * 60 * 1000;

export const cleanupCommand = defineCommand({
  name: "cleanup",
  summary: "delete expired tokens, sessions and counts",
  help,
  options: {
    ...databaseOption,
    "dry-run": { type: "boolean", default: false },
    "max-revoked-age-in-days": { type: "string" },
    "cookie-linger-in-seconds": { type: "string" },
    "batch-size": { type: "string" },
    "pause-ms": { type: "string" },
    json: { type: "boolean", default: false },
  },
  async run({ database, json, "dry-run": isDryRun, ...given }) {
    const days = notNegative("--max-revoked-age-in-days", given["max-revoked-age-in-days"], 14);
    const batchSize = positive("--batch-size", given["batch-size"], 5000);
    if (!Number.isInteger(batchSize) || batchSize > 1_000_000)
      throw new UsageError("--batch-size must be a whole number, at most 1000000.");
    const pauseMs = notNegative("--pause-ms", given["pause-ms"], 0);
    const linger = given["cookie-linger-in-seconds"];
    const givenLinger =
      linger === undefined ? undefined : notNegative("--cookie-linger-in-seconds", linger, 0);
    return withDatabase(database, (db) =>
      interruptible(async (signal) => {
        const cookieLingerInSeconds =
          givenLinger ?? (await readNewestProcess(db))?.cookieLingerInSeconds ?? defaultLinger;
        const before = new Date(db.now().getTime() - days * dayInMs);
        const startedAt = performance.now();
        const progress = createProgress();
        let share = 0;
        const cleaned = await deleteExpired(
          db,
          { before, batchSize, cookieLingerInSeconds },
          {
            isDryRun,
            signal,
            async afterPage(done, soFar) {
              share = done;
              progress.show(done, textOf(soFar));
              if (pauseMs > 0) await pause(pauseMs, undefined, { signal }).catch(() => undefined);
            },
          },
        ).finally(() => {
          progress.end();
        });
        const counts = signal.aborted
          ? { counts: 0, processes: 0 }
          : await deleteOldCounts(db, { isDryRun });
        const seconds = (performance.now() - startedAt) / 1000;
        if (json) printJson({ isDryRun, isComplete: !signal.aborted, ...cleaned, ...counts });
        else process.stdout.write(tableOf(cleaned, counts, { isDryRun, seconds }));
        if (!signal.aborted) return 0;
        process.stderr.write(
          `Interrupted after ${Math.floor(share * 100)} %. Run it again: it begins anew and finds what is left.\n`,
        );
        return interrupted;
      }),
    );
  },
});

function notNegative(option: string, given: string | undefined, fallback: number): number {
  return given === "0" ? 0 : positive(option, given, fallback);
}

const textOf = ({ refreshTokens, sessions, links }: Cleaned) =>
  `${number(refreshTokens)} refresh tokens, ${number(sessions)} sessions, ${number(links)} tombstones`;

function tableOf(
  cleaned: Cleaned,
  { counts, processes }: CleanedCounts,
  { isDryRun, seconds }: { isDryRun: boolean; seconds: number },
): string {
  const style = createStyle(process.stdout);
  const rows = [
    ["Refresh tokens, with their access tokens", number(cleaned.refreshTokens)],
    ["Sessions", number(cleaned.sessions)],
    ["Tombstones of cookies", number(cleaned.links)],
    ["Counts", number(counts)],
    ["Processes", number(processes)],
  ];
  const title = isDryRun ? "Would delete (dry run)" : `Deleted in ${span(seconds)}`;
  return `${style.bold(title)}\n${columns(rows)
    .map((line) => `  ${line}\n`)
    .join("")}`;
}

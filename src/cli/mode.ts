import { parseBrownout } from "../brownout.js";
import { defaultMode, isMode, type Mode, modes } from "../mode.js";
import type { MigrationStatus } from "../monitor/migration-status.js";
import { readMigrationStatus } from "../monitor/status.js";
import type { Database } from "../store/database.js";
import { changeMode, readModeChanges } from "../store/mode-log.js";
import { defineCommand, printJson, UsageError } from "./command.js";
import { isConfirmed } from "./confirm.js";
import { databaseHelp, databaseOption, withDatabase } from "./connection.js";
import { describeBrownout } from "./describe-brownout.js";
import { interruptible } from "./interrupt.js";
import { type Operator, operatorHelp, operatorOptions, readOperator } from "./operator.js";
import { renderChanges } from "./render-changes.js";
import { createStyle } from "./style.js";
import { plural } from "./text.js";
import { type Followed, waitForFleet, whyNot } from "./wait-for-fleet.js";

const help = `Usage: koa-session-bridge mode [observe|bridge|drain|tokens] [options]

Without a mode: shows the flag as it stands in PostgreSQL, and who has changed it, when and why.
With one: sets it for every process that follows it (those without the option mode and without
SESSION_BRIDGE_MODE), then waits up to 5 seconds until they have been seen in it.

Going to drain or tokens while the verdict of "status" says not yet has to be confirmed. Going back
never has.

Options:
${operatorHelp}
  --yes       go on although the verdict says not yet
  --no-wait   do not wait for the processes
  --json      print the result as JSON
${databaseHelp}
  --help      show this

Examples:
  koa-session-bridge mode
  koa-session-bridge mode drain --reason "0.2 % by cookie, all of it cron"
  koa-session-bridge mode bridge --reason "support sees logouts"

Exit codes: 0 shown, or set and followed, 1 failed, 2 wrong usage, 3 not set: the verdict says not yet,
4 set, but not every process has been seen in it, 130 set, and interrupted while waiting.
`;

const refused = 3;
const notFollowed = 4;
const interrupted = 130;
const trailLength = 20;

export const modeCommand = defineCommand({
  name: "mode",
  summary: "show or set the flag of the whole fleet",
  help,
  options: {
    ...databaseOption,
    ...operatorOptions,
    yes: { type: "boolean", default: false },
    "no-wait": { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
  maximumPositionals: 1,
  async run({ database, by, reason, yes, json, "no-wait": noWait }, [given]) {
    if (given !== undefined && !isMode(given))
      throw new UsageError(
        `Unknown mode ${JSON.stringify(given)}: take one of ${modes.join(", ")}.`,
      );
    if (given === undefined && (by ?? reason) !== undefined)
      throw new UsageError(`--by and --reason go with a mode: one of ${modes.join(", ")}.`);
    const operator = readOperator({ by, reason });
    return withDatabase(database, (db) =>
      given === undefined ? show(db, json) : set(db, given, operator, { yes, json, noWait }),
    );
  },
});

async function show(db: Database, json: boolean): Promise<number> {
  const changes = await readModeChanges(db, trailLength);
  const mode = changes[0]?.mode ?? defaultMode;
  const brownout = parseBrownout(changes[0]?.brownout) ?? null;
  if (json) {
    printJson({ mode, brownout, changes });
    return 0;
  }
  const style = createStyle(process.stdout);
  const isSet = changes.length > 0 ? "" : " (the default: nobody has set it)";
  const lines = [`Mode      ${style.bold(mode)}${isSet}`];
  if (brownout !== null) lines.push(`Brownout  ${describeBrownout(brownout, db.now())}`);
  if (changes.length > 0) lines.push("", ...renderChanges(changes, style));
  process.stdout.write(`${lines.join("\n")}\n`);
  return 0;
}

async function set(
  db: Database,
  mode: Mode,
  { by, reason }: Operator,
  { yes, json, noWait }: { yes: boolean; json: boolean; noWait: boolean },
): Promise<number> {
  const [last] = await readModeChanges(db, 1);
  const from = last?.mode ?? defaultMode;
  if (!yes && !(await isAllowed(db, from, mode))) return refused;
  const isChange = last?.mode !== mode || reason !== undefined;
  if (isChange) await changeMode(db, { mode, defaultMode, by, reason });
  const tell = (text: string) => json || process.stdout.write(`${text}\n`);
  tell(
    last?.mode === mode ? `The mode is ${mode} already.` : `The mode is ${mode} now, was ${from}.`,
  );
  if (noWait) {
    if (json) printJson({ mode, from });
    return 0;
  }
  return interruptible(async (signal) => {
    const followed = await waitForFleet(db, mode, signal);
    if (json) printJson({ mode, from, ...summaryOf(followed, db.now()) });
    else process.stdout.write(textOf(followed, db.now()));
    if (signal.aborted) return interrupted;
    return followed.others.length === 0 ? 0 : notFollowed;
  });
}

/** Going forward wants a verdict that says so, or somebody who knows better. */
async function isAllowed(db: Database, from: string, to: Mode): Promise<boolean> {
  const place = (mode: string) => modes.indexOf(mode as Mode);
  if (to === "observe" || to === "bridge" || place(to) <= place(from)) return true;
  const status = await readMigrationStatus(db);
  const objections = objectionsTo(to, from, status);
  if (objections.length === 0) return true;
  process.stderr.write(`Not yet safe to go from ${from} to ${to}:\n`);
  for (const reason of objections) process.stderr.write(`- ${reason}\n`);
  return isConfirmed(`Go to ${to} all the same?`);
}

function objectionsTo(to: Mode, from: string, { verdict }: MigrationStatus): readonly string[] {
  if (verdict.answer === "safe to drop") return [];
  if (verdict.answer === "not yet") return verdict.reasons;
  if (to === "drain") return [];
  return [`in mode ${from} cookies are still given out and renewed: go to drain first, then wait`];
}

const summaryOf = ({ following, others, seconds }: Followed, now: Date) => ({
  followedBy: following.length,
  processes: following.length + others.length,
  seconds: Number(seconds.toFixed(1)),
  notFollowing: others.map((process) => ({
    host: process.host,
    pid: process.pid,
    mode: process.mode,
    why: whyNot(process, now),
  })),
});

function textOf({ following, others, seconds }: Followed, now: Date): string {
  const all = following.length + others.length;
  if (all === 0) return "No process has served a request in the last 90 seconds.\n";
  const total = `${following.length} of ${plural(all, "process", "processes")}`;
  const lines = others.map(
    (process) => `- ${process.host}:${process.pid} ${whyNot(process, now)}\n`,
  );
  return `Followed by ${total} after ${seconds.toFixed(1)} s.\n${lines.join("")}`;
}

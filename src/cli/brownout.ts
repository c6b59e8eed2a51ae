import { type Brownout, parseBrownout } from "../brownout.js";
import { defaultMode } from "../mode.js";
import type { MigrationStatus } from "../monitor/migration-status.js";
import { readMigrationStatus } from "../monitor/status.js";
import { changeMode, readModeChanges } from "../store/mode-log.js";
import type { Database } from "../store/database.js";
import { CommandError, defineCommand, duration, printJson, UsageError } from "./command.js";
import { isConfirmed } from "./confirm.js";
import { databaseHelp, databaseOption, withDatabase } from "./connection.js";
import { describeBrownout, shareText } from "./describe-brownout.js";
import { type Operator, operatorHelp, operatorOptions, readOperator } from "./operator.js";
import { number } from "./text.js";

const help = `Usage: koa-session-bridge brownout [--share 5%] [--every 1h --for 5m] [--until WHEN]
       koa-session-bridge brownout --stop

A rehearsal of mode tokens: requests with a legacy cookie that it meets are served as in mode tokens, but
their cookie is not cleared and works again afterwards (unless its owner logs out meanwhile). Requests
without a legacy cookie are not touched.
Which cookies it meets is drawn once for each time it is on. Without options: shows the one that is set.

Without --until, or --for by itself, it goes on until --stop. One without any end has to be confirmed, as has
a share above 10% while the verdict of "status" says not yet. In mode observe, where nobody has tokens, it
takes --yes.

Options:
  --share     how many of the cookies, as 5% or 0.05; default 5%
  --every     it comes again after so long, such as 1h; goes with --for
  --for       how long it lasts each time; without --every it comes once
  --until     when it is over: a time such as 2026-12-01T06:00Z, or a duration such as 2d
  --stop      end it now
${operatorHelp}
  --yes       go on without a question
  --json      print the result as JSON
${databaseHelp}
  --help      show this

Examples:
  koa-session-bridge brownout --share 1% --for 10m
  koa-session-bridge brownout --share 5% --every 1h --for 5m --until 2d --reason "find the last scripts"
  koa-session-bridge brownout --stop

Exit codes: 0 shown, set or stopped, 1 failed, 2 wrong usage, or mode observe, 3 not confirmed.
`;

const notConfirmed = 3;
const largeShare = 0.1;

export const brownoutCommand = defineCommand({
  name: "brownout",
  summary: "refuse some cookies for a while, to find who still needs them",
  help,
  options: {
    ...databaseOption,
    ...operatorOptions,
    share: { type: "string" },
    every: { type: "string" },
    for: { type: "string" },
    until: { type: "string" },
    stop: { type: "boolean", default: false },
    yes: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
  async run({ database, stop, yes, json, share, every, for: lasting, until, ...given }) {
    const times = { share, every, for: lasting, until };
    const isSet = Object.values(times).some((value) => value !== undefined);
    if (stop && isSet) throw new UsageError("--stop goes with no other option of a brownout.");
    if (!stop && !isSet && (given.by ?? given.reason) !== undefined)
      throw new UsageError("--by and --reason go with a brownout: give --share, --for, or --stop.");
    const operator = readOperator(given);
    const brownout = isSet ? readBrownout(times, new Date()) : null;
    return withDatabase(database, async (db) => {
      if (!isSet && !stop) return show(db, json);
      const told =
        brownout === null ? await end(db, operator) : await begin(db, brownout, operator, yes);
      if (told === undefined) return notConfirmed;
      if (json) printJson({ brownout });
      else process.stdout.write(`${told.join("\n")}\n`);
      return 0;
    });
  },
});

/** Undefined when it is not confirmed. */
async function begin(
  db: Database,
  brownout: Brownout,
  operator: Operator,
  yes: boolean,
): Promise<string[] | undefined> {
  const status = await readMigrationStatus(db);
  if (status.mode === "tokens")
    throw new CommandError(
      "The mode is tokens: cookies are refused already, there is nothing to rehearse.",
    );
  if (!yes && status.mode === "observe")
    throw new UsageError(
      "The mode is observe: nobody has tokens, so it would only turn people away. Go to bridge first; with --yes it is set all the same.",
    );
  const doubts = yes ? [] : doubtsAbout(brownout, status);
  if (doubts.length > 0) {
    process.stderr.write(doubts.map((doubt) => `${doubt}\n`).join(""));
    if (!(await isConfirmed("Set it all the same?"))) return undefined;
  }
  await changeMode(db, { brownout, defaultMode, ...operator });
  return [
    `Brownout of ${describeBrownout(brownout, db.now())}.`,
    estimateOf(brownout, status),
    "Requests without a legacy cookie are not touched. Stop it: koa-session-bridge brownout --stop",
  ];
}

function doubtsAbout(
  { share, everyInSeconds, until }: Brownout,
  { verdict }: MigrationStatus,
): string[] {
  const isEndless = everyInSeconds === null && until === null;
  const isEarly = share > largeShare && verdict.answer === "not yet";
  return [
    ...(isEndless ? ["Without --for or --until it goes on until somebody stops it."] : []),
    ...(isEarly
      ? [`It refuses ${shareText(share)} of the cookies, and the verdict of "status" says not yet.`]
      : []),
  ];
}

async function end(db: Database, operator: Operator): Promise<string[]> {
  const [last] = await readModeChanges(db, 1);
  if (parseBrownout(last?.brownout) === undefined) return ["There is no brownout."];
  await changeMode(db, { brownout: null, defaultMode, ...operator });
  return ["The brownout is over."];
}

async function show(db: Database, json: boolean): Promise<number> {
  const [last] = await readModeChanges(db, 1);
  const brownout = parseBrownout(last?.brownout) ?? null;
  if (json) printJson({ brownout });
  else if (brownout === null) process.stdout.write("No brownout.\n");
  else process.stdout.write(`Brownout of ${describeBrownout(brownout, db.now())}.\n`);
  return 0;
}

/** Reads the options. A wrong one is a {@link UsageError}. */
export function readBrownout(
  given: { [Name in "share" | "every" | "for" | "until"]: string | undefined },
  now: Date,
): Brownout {
  const every = given.every === undefined ? null : duration("--every", given.every);
  const lasting = given.for === undefined ? null : duration("--for", given.for);
  if (every !== null && lasting === null)
    throw new UsageError("--every needs --for: how long it lasts each time, such as --for 5m.");
  if (every !== null && lasting !== null && lasting >= every)
    throw new UsageError("--for must be shorter than --every.");
  if (every === null && lasting !== null && given.until !== undefined)
    throw new UsageError(
      "--for without --every and --until both say when it ends: give one of them.",
    );
  const until = given.until === undefined ? null : readUntil(given.until, now);
  const isOnce = every === null && lasting !== null;
  return {
    id: crypto.randomUUID(),
    share: readShare(given.share ?? "5%"),
    everyInSeconds: every,
    forInSeconds: every === null ? null : lasting,
    startsAt: now,
    until: isOnce ? new Date(now.getTime() + lasting * 1000) : until,
  };
}

function readShare(given: string): number {
  const match = /^(\d+(?:\.\d+)?|\.\d+) ?(%?)$/.exec(given.trim());
  const share = Number(match?.[1]) / (match?.[2] === "%" ? 100 : 1);
  if (share > 0 && share <= 1) return share;
  throw new UsageError(
    `--share must be above 0 and at most 100%, as 5% or 0.05, got ${JSON.stringify(given)}.`,
  );
}

function readUntil(given: string, now: Date): Date {
  if (/^\d+(\.\d+)?[smhd]$/.test(given))
    return new Date(now.getTime() + duration("--until", given) * 1000);
  const until = /^\d{4}-\d\d-\d\d/.test(given) ? new Date(given) : new Date(Number.NaN);
  if (Number.isNaN(until.getTime()))
    throw new UsageError(
      `--until must be a time such as 2026-12-01T06:00Z or a duration such as 2d, got ${JSON.stringify(given)}.`,
    );
  if (until <= now) throw new UsageError(`--until must be in the future, got ${given}.`);
  return until;
}

function estimateOf({ share, everyInSeconds, forInSeconds }: Brownout, status: MigrationStatus) {
  // Today is not over.
  const week = status.days.slice(-8, -1).filter(({ legacy, bearer }) => legacy + bearer > 0);
  if (week.length === 0)
    return "How many requests that meets is not known: no whole day has been counted yet.";
  const daily = week.reduce((sum, { legacy }) => sum + legacy, 0) / week.length;
  const part = everyInSeconds === null || forInSeconds === null ? 1 : forInSeconds / everyInSeconds;
  const expected = daily * share * part;
  const met = expected < 1 ? "less than one" : `about ${number(Math.round(expected))}`;
  return `By the counts of the last days it meets ${met} of ${number(Math.round(daily))} requests a day that come by cookie alone.`;
}

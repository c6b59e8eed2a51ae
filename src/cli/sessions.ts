import type { SessionBridge } from "../session-bridge.js";
import type { AboutSource } from "../monitor/about.js";
import { readKnownSources } from "../monitor/status.js";
import type { Database } from "../store/database.js";
import {
  type Condition,
  countOldSessions,
  countSessions,
  endOldSessions,
  findSessionPage,
  findSessions,
} from "../store/find-sessions.js";
import { revokeSessions } from "../store/revoke-session.js";
import { defineCommand, positive, printJson, UsageError } from "./command.js";
import { canAsk, confirm } from "./confirm.js";
import { databaseHelp, databaseOption, reasonOf, withDatabase } from "./connection.js";
import { interruptible } from "./interrupt.js";
import { appHelp, appOption, loadBridge } from "./load-bridge.js";
import { createProgress } from "./progress.js";
import { createStyle } from "./style.js";
import { columns, plural, time } from "./text.js";

const help = `Usage: koa-session-bridge sessions list --where KEY=VALUE [--limit N] [--json]
       koa-session-bridge sessions revoke --where KEY=VALUE [--dry-run] [--yes] [--app FILE] [--json]

Finds sessions by what their data says, and ends them with all their tokens and cookies: logs a user out
everywhere. The data itself is never shown. Each reads the whole table of sessions once.

Options:
  --where     a member of the session's data, or a path of members, and its value: text, a number or a
              boolean, such as userId=42 or user.role=admin; several must all hold
  --limit     how many to list, the last changed first; default 50
  --dry-run   tell how many would be revoked, and change nothing
  --yes       do not ask; needed where there is no terminal
${appHelp};
              with it the old store's rows of upgraded sessions are destroyed as well
  --json      print the result as JSON
${databaseHelp}
  --help      show this

Cookie sessions that are not upgraded yet are found where the old store is a table beside the bridge's
own (Compas). Of other old stores the command says so: run backfill first, or end them there.

Examples:
  koa-session-bridge sessions list --where userId=42
  koa-session-bridge sessions revoke --where userId=42 --where tenant=acme --yes

Exit codes: 0 done, 1 failed, 2 wrong usage or --yes is missing, 3 not confirmed, 130 interrupted.
`;

const notConfirmed = 3;
const interrupted = 130;
const batchSize = 200;

export const sessionsCommand = defineCommand({
  name: "sessions",
  summary: "list or revoke the sessions of a user",
  help,
  options: {
    ...databaseOption,
    ...appOption,
    where: { type: "string", multiple: true, default: [] },
    limit: { type: "string" },
    "dry-run": { type: "boolean", default: false },
    yes: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
  maximumPositionals: 1,
  async run({ database, app, where, limit, yes, json, "dry-run": isDryRun }, [action]) {
    if (action !== "list" && action !== "revoke")
      throw new UsageError('Say what to do: "sessions list" or "sessions revoke".');
    if (where.length === 0) throw new UsageError("Say whose: --where userId=42.");
    const conditions = where.map(readCondition);
    const most = positive("--limit", limit, 50);
    if (!Number.isInteger(most) || most > 1_000_000)
      throw new UsageError("--limit must be a whole number, at most 1000000.");
    if (action === "list")
      return withDatabase(database, (db) => list(db, conditions, { limit: most, json }));
    if (!yes && !isDryRun && !canAsk())
      throw new UsageError("There is no terminal to ask in: give --yes, or try with --dry-run.");
    const bridge = await loadBridge(app);
    return withDatabase(database, (db) => revoke(db, conditions, { bridge, isDryRun, yes, json }));
  },
});

/** Reads `path.to.member=value`. */
export function readCondition(given: string): Condition {
  const at = given.indexOf("=");
  const path = given.slice(0, Math.max(at, 0)).split(".");
  if (at > 0 && path.every((member) => member !== "") && !given.includes("\0"))
    return { path, value: given.slice(at + 1) };
  throw new UsageError(
    `--where must be KEY=VALUE, such as userId=42, got ${JSON.stringify(given)}.`,
  );
}

async function list(
  db: Database,
  conditions: readonly Condition[],
  { limit, json }: { limit: number; json: boolean },
): Promise<number> {
  const found = await findSessions(db, conditions, limit);
  if (json) {
    printJson(found);
    return 0;
  }
  const { dim } = createStyle(process.stdout);
  if (found.length === 0) process.stdout.write("No session matches.\n");
  else {
    const title = ["id", "created", "changed", "from", "adopted", "live tokens", "cookie until"];
    const rows = found.map((session) => [
      session.id,
      time(session.createdAt),
      time(session.updatedAt),
      session.source ?? "token",
      session.source === null ? "-" : session.isAdopted ? "yes" : "no",
      String(session.liveTokens),
      session.cookieExpiresAt === null ? "-" : time(session.cookieExpiresAt),
    ]);
    process.stdout.write(`${columns([title.map(dim), ...rows]).join("\n")}\n`);
    if (found.length === limit) process.stderr.write(`At most ${limit} are shown: --limit.\n`);
  }
  return 0;
}

async function revoke(
  db: Database,
  conditions: readonly Condition[],
  options: { bridge: SessionBridge | undefined; isDryRun: boolean; yes: boolean; json: boolean },
): Promise<number> {
  const { bridge, isDryRun, yes, json } = options;
  const sources = await readKnownSources(db);
  const tables = sources.flatMap(({ name, table }) => (table ? [{ source: name, table }] : []));
  const found = await countSessions(db, conditions);
  let rows = 0;
  for (const { table } of tables) rows += await countOldSessions(db, table, conditions);
  for (const warning of warningsOf(sources)) process.stderr.write(`Note: ${warning}\n`);
  const what = `${plural(found, "session")}${tables.length === 0 ? "" : ` and ${plural(rows, "row")} of the old store`}`;
  if (isDryRun) {
    if (json) printJson({ isDryRun, sessions: found, oldRows: rows });
    else process.stdout.write(`Would revoke ${what}.\n`);
    return 0;
  }
  if (!yes && !(await confirm(`Revoke ${what}?`))) {
    process.stderr.write("Nothing was changed.\n");
    return notConfirmed;
  }
  return interruptible(async (signal) => {
    // The old rows first: from then on no request makes a session of them.
    let oldRows = 0;
    for (const each of tables) oldRows += await endOldSessions(db, each, conditions);
    const sessions = await revokeAll(db, conditions, { bridge, signal, expected: found });
    if (json) printJson({ isComplete: !signal.aborted, sessions, oldRows });
    else {
      const old = tables.length === 0 ? "" : ` and ${plural(oldRows, "row")} of the old store`;
      process.stdout.write(`Revoked ${plural(sessions, "session")}${old}.\n`);
    }
    if (!signal.aborted) return 0;
    process.stderr.write("Interrupted: run it again for the rest.\n");
    return interrupted;
  });
}

async function revokeAll(
  db: Database,
  conditions: readonly Condition[],
  options: { bridge: SessionBridge | undefined; signal: AbortSignal; expected: number },
): Promise<number> {
  const { bridge, signal, expected } = options;
  bridge?.on("error", (error) => {
    process.stderr.write(`The old store: ${reasonOf(error)}\n`);
  });
  const progress = createProgress();
  let revoked = 0;
  let cursor: string | null = null;
  while (!signal.aborted) {
    const ids: string[] = await findSessionPage(db, conditions, cursor, batchSize);
    const last = ids.at(-1);
    if (last === undefined) break;
    if (bridge === undefined) revoked += await revokeSessions(db, ids);
    else {
      for (const id of ids) {
        await bridge.sessions.invalidate({ id });
        revoked += 1;
      }
    }
    cursor = last;
    if (expected > batchSize) progress.show(revoked / expected, plural(revoked, "session"));
  }
  progress.end();
  return revoked;
}

function warningsOf(sources: readonly AboutSource[]): string[] {
  if (sources.length === 0)
    return [
      "no process has told of its old session systems: cookie sessions that are not upgraded are not found.",
    ];
  return sources
    .filter(({ table }) => table === null)
    .map(({ name, hasOldStore }) =>
      hasOldStore
        ? `cookie sessions of ${name} that are not upgraded cannot be found: run backfill first, or end them in the old store.`
        : `cookies of ${name} carry their data themselves: those that are not upgraded cannot be found.`,
    );
}

import { text as textOf } from "node:stream/consumers";
import type { SessionBridge } from "../session-bridge.js";
import type { ProcessStatus } from "../monitor/migration-status.js";
import { readKnownSources, readLiveProcesses } from "../monitor/status.js";
import type { Database } from "../store/database.js";
import { readServerFacts } from "../store/diagnose.js";
import { readMode } from "../store/mode-log.js";
import { checkCookies, checkOldStores, checkSettings, checkSigningKeys } from "./check-app.js";
import {
  checkClock,
  checkConnections,
  checkOldTables,
  checkPooler,
  checkRights,
  checkSchema,
  checkServer,
} from "./check-database.js";
import { checkFleet } from "./check-fleet.js";
import { defineCommand, printJson, UsageError } from "./command.js";
import { databaseHelp, databaseOption, reasonOf, withDatabase } from "./connection.js";
import { type Finding, problem, renderFindings } from "./finding.js";
import { appHelp, appOption, loadBridge } from "./load-bridge.js";
import { createStyle } from "./style.js";
import { plural } from "./text.js";

const help = `Usage: koa-session-bridge doctor [--app FILE] [--cookie] [--json]

Looks for what goes wrong in practice: the database, its tables and rights, clocks, the live processes,
signing keys (SESSION_SIGNING_KEYS, if it is set) and, with --app, the application's own settings.
Changes nothing.

Options:
${appHelp}
  --cookie    also read a Cookie header ("name=value; name.sig=…") from standard input and tell whether
              it would be accepted, and if not, why; needs --app. The value is never printed.
  --json      print the findings as JSON
${databaseHelp}
  --help      show this

Examples:
  koa-session-bridge doctor
  koa-session-bridge doctor --app ./app.js --cookie < cookie.txt

Exit codes: 0 no problem found (there may be warnings), 1 a problem was found, 2 wrong usage.
`;

const cookieLimit = 32_768;

export const doctorCommand = defineCommand({
  name: "doctor",
  summary: "check the database, the processes, the keys and a cookie",
  help,
  options: {
    ...databaseOption,
    ...appOption,
    cookie: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
  async run({ database, app, cookie, json }) {
    const bridge = await loadBridge(app);
    if (cookie && bridge === undefined)
      throw new UsageError("--cookie needs --app: only the application can verify its cookies.");
    const header = cookie ? await readHeader() : undefined;
    const findings = await withDatabase(database, (db) => examine(db, bridge, header));
    const problems = findings.filter(({ level }) => level === "problem").length;
    const warnings = findings.filter(({ level }) => level === "warning").length;
    if (json) printJson({ problems, warnings, findings });
    else {
      const width = Math.min(process.stdout.columns ?? 110, 110);
      const lines = renderFindings(findings, { style: createStyle(process.stdout), width });
      const sum = `${plural(problems, "problem")}, ${plural(warnings, "warning")}`;
      process.stdout.write(`${lines.join("\n")}\n\n${sum}\n`);
    }
    return problems === 0 ? 0 : 1;
  },
});

async function readHeader(): Promise<string> {
  if (process.stdin.isTTY)
    process.stderr.write("Paste the Cookie header, then Enter and Ctrl-D:\n");
  const given = await textOf(process.stdin);
  if (given.length > cookieLimit)
    throw new UsageError(`The cookie must have at most ${cookieLimit} characters.`);
  const header = given
    .trim()
    .replace(/^cookie:\s*/i, "")
    .replace(/;?\s*[\r\n]+\s*/g, "; ");
  if (header === "") throw new UsageError("Standard input holds no cookie.");
  return header;
}

async function examine(
  db: Database,
  bridge: SessionBridge | undefined,
  header: string | undefined,
): Promise<Finding[]> {
  const reached = await attempt("database", () => readServerFacts(db));
  if ("level" in reached) return [reached, ...checkOwn(bridge, [])];
  const findings = [checkServer(reached), ...(await checkPooler(db))];
  const schema = await attempt("schema", () => checkSchema(db, reached));
  findings.push("level" in schema ? schema : schema.finding, await checkClock(db));
  if ("level" in schema || !schema.isReadable) return [...findings, ...checkOwn(bridge, [])];
  const read = await attempt("processes", async () => ({
    processes: await readLiveProcesses(db),
    sources: await readKnownSources(db),
    flag: await readMode(db),
  }));
  const told = "level" in read ? [] : read.sources;
  const sources = [...told, ...(bridge?.inspectSettings().sources ?? [])];
  findings.push(await attempt("rights", () => checkRights(db, reached, sources)));
  const tables = await attempt("old store", () => checkOldTables(db, sources));
  findings.push(...("level" in tables ? [tables] : tables));
  if (bridge !== undefined) findings.push(...checkOldStores(await bridge.probeOldStores()));
  if ("level" in read) return [...findings, read, ...checkOwn(bridge, [])];
  const { processes, flag } = read;
  const pools = processes.map(({ poolMax }) => poolMax);
  findings.push(...checkFleet(processes, flag?.mode), ...checkConnections(pools, reached));
  findings.push(...checkOwn(bridge, processes));
  if (bridge === undefined || header === undefined) return findings;
  const mode = processes.at(-1)?.mode ?? flag?.mode ?? "bridge";
  const cookies = await attempt("cookie", () => bridge.inspectCookie(header));
  return [...findings, ...("level" in cookies ? [cookies] : checkCookies(header, cookies, mode))];
}

/** What of this environment and its application can be told without the database. */
function checkOwn(
  bridge: SessionBridge | undefined,
  processes: readonly ProcessStatus[],
): Finding[] {
  const keys = process.env["SESSION_SIGNING_KEYS"];
  return [
    ...(keys === undefined || keys === "" ? [] : [checkSigningKeys(keys, processes)]),
    ...(bridge === undefined ? [] : checkSettings(bridge.inspectSettings(), processes)),
  ];
}

async function attempt<Value>(check: string, work: () => Promise<Value>): Promise<Value | Finding> {
  try {
    return await work();
  } catch (error) {
    return problem(check, reasonOf(error), "Mend this first, then run the doctor again.");
  }
}

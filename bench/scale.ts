import { wholeNumber, withArguments } from "./arguments.js";
import { findLoadGenerator } from "./load.js";
import { installPeers } from "./peers.js";
import { prepareSize, type Size } from "./scale-size.js";
import { onStage, type Stage, tell } from "./stage.js";
import { markdownTable, median, thousands } from "./table.js";

const help = `Usage: npm run bench:scale -- [options]

Fills a database of each size, then reads sessions strictly (every request asks PostgreSQL), size after size in
turn, and runs the clean-up of expired sessions beside live requests. Looks at the plan of every statement too:
none may read a whole table, as PostgreSQL rightly does where it is small: ask for 20k sessions or more. Takes about
1 GB of disk for each million sessions, and gives it back.

Options:
  --sessions LIST    sizes, separated by commas; default 100k,1m,10m
  --tokens N         so many sessions, spread over all, are read; default 100k
  --connections N    default 64
  --seconds N        for each read; default 8
  --rounds N         reads of each size, in turn; default 3
  --json             print the results as JSON
  --help             show this

Examples:
  npm run bench:scale
  npm run bench:scale -- --sessions 100k,1m --rounds 2

It takes ten minutes; Ctrl-C ends it and leaves nothing.

Exit codes: 0 done, 1 failed or a statement of requests reads a whole table, 2 wrong usage, 130 interrupted.
`;

/** What was found of one size. */
interface Report {
  readonly sessions: number;
  readonly requestsPerSecond: number;
  readonly p99Ms: number;
  /** To the first size. */
  readonly ratio: number;
  readonly heapBytes: number;
  readonly indexBytes: number;
  readonly wholeTables: readonly string[];
  readonly cleanedPerSecond: number;
  readonly p99MsWithoutCleanUp: number;
  readonly p99MsDuringCleanUp: number;
}

interface Options {
  readonly sizes: readonly number[];
  readonly tokens: number;
  readonly connections: number;
  readonly seconds: number;
  readonly rounds: number;
}

async function run(stage: Stage, options: Options): Promise<Report[]> {
  const sizes: Size[] = [];
  try {
    for (const sessions of options.sizes) {
      stage.signal.throwIfAborted();
      tell(`Making ${thousands(sessions)} sessions.`);
      const size = await prepareSize(stage, { ...options, sessions });
      tell(`Made them in ${size.seedSeconds.toFixed(0)} s.`);
      sizes.push(size);
    }
    tell("Reading each of them once, unmeasured.");
    for (const size of sizes) await size.read(options.seconds);
    const rates = sizes.map((): { rate: number; p99Ms: number }[] => []);
    for (let round = 1; round <= options.rounds; round += 1) {
      for (const [index, size] of sizes.entries()) {
        await size.read(2);
        const { requests, seconds, p99Ms } = await size.read(options.seconds);
        rates[index]?.push({ rate: requests / seconds, p99Ms });
        tell(
          `Round ${round}, ${thousands(size.sessions)}: ${thousands(requests / seconds)} requests/s.`,
        );
      }
    }
    const reports: Report[] = [];
    for (const [index, size] of sizes.entries()) {
      tell(
        `Cleaning up ${thousands(size.expired)} expired sessions beside ${thousands(size.sessions)}.`,
      );
      const { sessions, seconds, p99Ms } = await size.cleanUp();
      const requestsPerSecond = median(rates[index]!.map(({ rate }) => rate));
      reports.push({
        sessions: size.sessions,
        requestsPerSecond,
        p99Ms: median(rates[index]!.map(({ p99Ms }) => p99Ms)),
        ratio: requestsPerSecond / (reports[0]?.requestsPerSecond ?? requestsPerSecond),
        heapBytes: size.bytesPerSession.heap,
        indexBytes: size.bytesPerSession.indexes,
        wholeTables: size.wholeTables,
        cleanedPerSecond: sessions / seconds,
        p99MsWithoutCleanUp: p99Ms.without,
        p99MsDuringCleanUp: p99Ms.during,
      });
    }
    return reports;
  } finally {
    for (const size of sizes) await size.close();
  }
}

const heads = [
  "sessions",
  "strict reads/s",
  "ratio",
  "p99 ms",
  "table B each",
  "index B each",
  "plans",
  "cleaned/s",
  "p99 ms beside it",
  "ratio",
];

const tableOf = (reports: readonly Report[]) =>
  markdownTable(
    heads,
    reports.map((report) => [
      thousands(report.sessions),
      thousands(report.requestsPerSecond),
      report.ratio.toFixed(2),
      report.p99Ms.toFixed(1),
      thousands(report.heapBytes),
      thousands(report.indexBytes),
      report.wholeTables.length === 0 ? "by index" : "a whole table",
      thousands(report.cleanedPerSecond),
      report.p99MsDuringCleanUp.toFixed(1),
      (report.p99MsDuringCleanUp / report.p99MsWithoutCleanUp).toFixed(2),
    ]),
  );

process.exitCode = await withArguments(
  help,
  {
    sessions: { type: "string", default: "100k,1m,10m" },
    tokens: { type: "string", default: "100k" },
    connections: { type: "string", default: "64" },
    seconds: { type: "string", default: "8" },
    rounds: { type: "string", default: "3" },
    json: { type: "boolean", default: false },
  },
  (values) => {
    const options = {
      sizes: values.sessions.split(",").map((size) => wholeNumber("sessions", size.trim())),
      tokens: wholeNumber("tokens", values.tokens),
      connections: wholeNumber("connections", values.connections),
      seconds: wholeNumber("seconds", values.seconds),
      rounds: wholeNumber("rounds", values.rounds),
    };
    return onStage(async (stage) => {
      if (findLoadGenerator().name === "autocannon") await installPeers(stage.signal);
      const reports = await run(stage, options);
      process.stdout.write(
        `${values.json ? JSON.stringify(reports, null, 2) : tableOf(reports)}\n`,
      );
      const failing = reports.filter(({ wholeTables }) => wholeTables.length > 0);
      for (const { sessions, wholeTables } of failing) {
        const names = wholeTables.join(", ");
        tell(`With ${thousands(sessions)} sessions these would read a whole table: ${names}.`);
      }
      return failing.length > 0 ? 1 : 0;
    });
  },
);

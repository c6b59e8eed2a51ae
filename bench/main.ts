import { someOf, UsageError, wholeNumber, withArguments } from "./arguments.js";
import { findLoadGenerator } from "./load.js";
import { describeMachine } from "./machine.js";
import { installPeers } from "./peers.js";
import { scenariosOf, usersOf } from "./plan.js";
import { publish } from "./publish.js";
import { runAll } from "./run-all.js";
import { onStage, tell } from "./stage.js";
import { resultTable } from "./table.js";
import { variants } from "./variants.js";
import { seedPeers, seedTokens, settle } from "./world.js";

const ids = variants.map(({ id }) => id);

const help = `Usage: npm run bench -- [options]

Measures the package beside what people would pick instead, on a PostgreSQL of its own: builds it, checks
each variant for right answers, tampering and revocation, then loads them in interleaved rounds.

Options:
  --only <ids>        some variants, separated by commas; default all:
                      ${ids.slice(0, 7).join(", ")},
                      ${ids.slice(7).join(", ")}
  --rounds <n>        of every variant in every scenario; default 3
  --seconds <n>       of load in a round; default 5
  --sessions <n>      of each kind, such as 100k; default 100k
  --connections <n>   of the load; default 64
  --json              print JSON instead of tables
  --write             write the tables into README.md and draw docs/bench.svg; needs all variants
  --help              show this

Examples:
  npm run bench
  npm run bench -- --only strict,join,koa-session --rounds 1
  npm run bench -- --json > results.json

The tables go to stdout, progress to stderr. It takes about ten minutes; Ctrl-C ends it and leaves nothing.

Exit codes: 0 measured, 1 a variant gave a wrong answer or could not be measured, 2 wrong usage,
130 interrupted.
`;

process.exitCode = await withArguments(
  help,
  {
    only: { type: "string", default: ids.join(",") },
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "5" },
    sessions: { type: "string", default: "100k" },
    connections: { type: "string", default: "64" },
    json: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
  },
  async (values) => {
    const chosen = someOf("only", values.only, ids);
    const plan = {
      variants: variants.filter(({ id }) => chosen.includes(id)),
      rounds: wholeNumber("rounds", values.rounds),
      seconds: wholeNumber("seconds", values.seconds),
      sessions: wholeNumber("sessions", values.sessions),
      connections: wholeNumber("connections", values.connections),
    };
    if (values.write && plan.variants.length < variants.length) {
      throw new UsageError("--write goes with all variants, not with --only.");
    }
    for (const variant of plan.variants) usersOf(variant, plan.sessions, plan.connections);
    const scenarios = scenariosOf(plan.connections);
    return onStage(async (stage) => {
      const generator = findLoadGenerator();
      if (generator.name === "autocannon" || plan.variants.some(({ needsPeers }) => needsPeers)) {
        await installPeers(stage.signal);
      }
      const machine = await describeMachine(stage.pool, generator.name);
      tell(machine);
      tell(`Seeding ${plan.sessions} sessions of each kind.`);
      await seedTokens(stage.pool, plan.sessions);
      await seedPeers(stage.pool, plan.sessions);
      await settle(stage.pool);
      const run = { machine, ...(await runAll(stage, generator, { ...plan, scenarios })) };
      if (values.json) {
        process.stdout.write(`${JSON.stringify(run, null, 2)}\n`);
      } else {
        for (const { name, results } of run.scenarios) {
          process.stdout.write(`\n${name}\n\n${resultTable(results)}\n`);
        }
        process.stdout.write(`\n${machine}\n`);
      }
      if (values.write) await publish(run);
      return 0;
    });
  },
);

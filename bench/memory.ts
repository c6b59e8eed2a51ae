import { setTimeout as sleep } from "node:timers/promises";
import { someOf, wholeNumber, withArguments } from "./arguments.js";
import { checkLoad } from "./checks.js";
import { headerOf } from "./credentials.js";
import { findLoadGenerator, type LoadGenerator, writeRequests } from "./load.js";
import { describeMachine } from "./machine.js";
import { isFlat } from "./flat.js";
import { installPeers } from "./peers.js";
import { onStage, type Stage, tell } from "./stage.js";
import { markdownTable, thousands } from "./table.js";
import { variants } from "./variants.js";
import { seedTokens, settle } from "./world.js";

const known = variants.filter(({ credential }) => credential === "bearer").map(({ id }) => id);

const help = `Usage: npm run bench:memory -- [options]

Loads a server with more valid tokens than its caches hold, and tells whether its memory stays flat: the
median of the last third of the samples is at most 10 % above that of the second third.

Options:
  --minutes <n>       of load for each variant; default 10
  --tokens <n>        different ones, each of a session of its own; default 1m
  --only <ids>        of ${known.join(", ")}; default strict,cached
  --connections <n>   default 64
  --help              show this

Example:
  npm run bench:memory -- --minutes 2 --tokens 100k --only strict

It takes 20 minutes, and a few for the tokens; Ctrl-C ends it and leaves nothing.

Exit codes: 0 flat, 1 not flat or not measured, 2 wrong usage, 130 interrupted.
`;

interface Plan {
  readonly requests: string;
  readonly seconds: number;
  readonly connections: number;
}

const megabytes = (bytes: number) => (bytes / 2 ** 20).toFixed(0);

/** Loads one variant, prints its samples and tells whether they are flat. */
function watch(stage: Stage, generator: LoadGenerator, id: string, plan: Plan): Promise<boolean> {
  const { requests, seconds, connections } = plan;
  return stage.withServer(id, async (server) => {
    const heapBefore = (await server.usage({ collect: true })).heapBytes;
    let isLoading = true;
    const load = generator
      .run({ port: server.port, requests, connections, seconds, apart: false }, stage.signal)
      .finally(() => (isLoading = false));
    load.catch(() => undefined);
    const everyMs = Math.min(30_000, (seconds * 1000) / 12);
    const samples: number[] = [];
    const start = performance.now();
    for (;;) {
      await sleep(everyMs, undefined, { signal: stage.signal });
      if (!isLoading) break;
      const { residentBytes } = await server.usage();
      samples.push(residentBytes);
      const elapsed = ((performance.now() - start) / 1000).toFixed(0);
      tell(`${id}: ${elapsed.padStart(4)} s, RSS ${megabytes(residentBytes)} MB`);
    }
    const result = await load;
    checkLoad({ name: id }, result);
    const after = await server.usage({ collect: true });
    const flat = isFlat(samples);
    const heads = ["", "requests", "RSS MB", "least–most", "heap MB before", "after", "flat"];
    const row = [
      id,
      thousands(result.requests),
      megabytes(samples.at(-1) ?? 0),
      `${megabytes(Math.min(...samples))}–${megabytes(Math.max(...samples))}`,
      megabytes(heapBefore),
      megabytes(after.heapBytes),
      flat ? "yes" : "no",
    ];
    process.stdout.write(`${markdownTable(heads, [row])}\n\n`);
    return flat;
  });
}

process.exitCode = await withArguments(
  help,
  {
    minutes: { type: "string", default: "10" },
    tokens: { type: "string", default: "1m" },
    only: { type: "string", default: "strict,cached" },
    connections: { type: "string", default: "64" },
  },
  async (values) => {
    const ids = someOf("only", values.only, known);
    const tokens = wholeNumber("tokens", values.tokens);
    const seconds = wholeNumber("minutes", values.minutes) * 60;
    const connections = wholeNumber("connections", values.connections);
    return onStage(async (stage) => {
      const generator = findLoadGenerator();
      if (generator.name === "autocannon") await installPeers(stage.signal);
      tell(`Seeding ${tokens} sessions.`);
      await seedTokens(stage.pool, tokens);
      await settle(stage.pool);
      const { secrets } = stage.world;
      const requests = await writeRequests(stage.folder, "memory", bearerRequests());
      let flat = true;
      for (const id of ids) {
        flat = (await watch(stage, generator, id, { requests, seconds, connections })) && flat;
      }
      process.stdout.write(`${await describeMachine(stage.pool, generator.name)}\n`);
      return flat ? 0 : 1;

      function* bearerRequests() {
        for (let user = 1; user <= tokens; user += 1) {
          const header = headerOf(secrets, "bearer", user);
          yield { method: "GET" as const, path: `/read/${user}`, header };
        }
      }
    });
  },
);

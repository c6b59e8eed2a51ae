import { createRequire } from "node:module";
import { parseArgs } from "node:util";
import pg from "pg";
import { freePort } from "../test/support/free-port.js";
import { startEmbeddedPostgres } from "../test/support/postgres-server.js";
import { Narrator } from "./narrator.js";
import { serve } from "./serve.js";
import { Stage } from "./stage.js";
import { chapters } from "./story.js";

const help = `Usage: npm run demo [-- --serve [--port N]]

Plays a migration from koa-session to tokens, on a PostgreSQL of its own, and checks every step.

Options:
  --serve   keep the application up instead, and print curl lines to try; Ctrl-C ends it
  --port    the application's port on 127.0.0.1; default: a free one
  --help    show this

Exit codes: 0 every step was as told, 1 one was not, 2 wrong usage.
`;

/** The exit code. */
async function main(): Promise<number> {
  const options = readOptions();
  if (typeof options === "number") return options;
  const interrupted = untilInterrupted();
  const server = await startEmbeddedPostgres();
  const pool = new pg.Pool({ connectionString: server.url });
  // When the server stops, connections that the pool has just let go of may still hear of it.
  pool.on("error", () => undefined);
  try {
    const port = options.port ?? (await freePort());
    return options.serve
      ? await serve({ url: server.url, pool }, port, interrupted)
      : await play(pool, port);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    process.stderr.write(`Port ${options.port} is in use: give another --port, or none.\n`);
    return 1;
  } finally {
    await pool.end();
    await server.close();
  }
}

/** From now on the first Ctrl-C does not end the process: PostgreSQL is to be stopped first. */
function untilInterrupted(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => resolve());
  });
}

function readOptions(): { serve: boolean; port: number | undefined } | 0 | 2 {
  try {
    const { values } = parseArgs({
      options: {
        serve: { type: "boolean", default: false },
        port: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) {
      process.stdout.write(help);
      return 0;
    }
    const port = values.port === undefined ? undefined : Number(values.port);
    if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65_536)) {
      throw new TypeError(`--port must be a number from 1 to 65535`);
    }
    if (port !== undefined && !values.serve) throw new TypeError("--port goes with --serve");
    return { serve: values.serve, port };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${help}`);
    return 2;
  }
}

async function play(pool: pg.Pool, port: number): Promise<number> {
  const startedAt = performance.now();
  const narrator = new Narrator(process.stdout);
  const stage = new Stage(narrator, pool, port);
  await introduce(narrator, pool);
  try {
    for (const chapter of chapters) await chapter(stage);
  } catch (error) {
    narrator.failure(`the story broke off: ${(error as Error).message}`);
  } finally {
    await stage.close();
  }
  for (const error of stage.errors) narrator.failure(`error beside an answer: ${error.message}`);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  narrator.summary(seconds);
  return narrator.failures === 0 ? 0 : 1;
}

async function introduce(narrator: Narrator, pool: pg.Pool): Promise<void> {
  const { rows } = await pool.query<{ server_version: string }>("show server_version");
  const version = (name: string) => {
    const { version } = createRequire(import.meta.url)(`${name}/package.json`) as Manifest;
    return `${name} ${version}`;
  };
  const postgres = `PostgreSQL ${rows[0]?.server_version ?? ""}`;
  const software = [postgres, version("koa"), version("koa-session"), `Node ${process.version}`];
  narrator.line("A shop moves from cookies to tokens, and nobody is logged out.");
  narrator.note(software.join(", "));
  narrator.note("+ cookie, - cookie: the response sets or clears the cookie.");
  narrator.note("+ tokens …12345 …abcde: it carries an access and a refresh token that end so.");
}

interface Manifest {
  version: string;
}

process.exitCode = await main();

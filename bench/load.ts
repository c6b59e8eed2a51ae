import { execFile, execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** One request that the load repeats. */
export interface Request {
  readonly method: "GET" | "POST";
  readonly path: string;
  /** As a line: `Cookie: …`. */
  readonly header: string;
}

export interface Load {
  readonly port: number;
  /** A file that {@link writeRequests} wrote. */
  readonly requests: string;
  readonly connections: number;
  readonly seconds: number;
  /** Each connection takes requests of its own, so that no two at work at once are the same. */
  readonly apart: boolean;
}

export interface LoadResult {
  /** Answered requests. */
  readonly requests: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers with a status of 400 or more. */
  readonly refused: number;
  /** Connections that could not be made or broke, and requests that were not answered in time. */
  readonly broken: number;
}

/** Writes the requests that a load goes through in turn, a line each, and gives the file. */
export async function writeRequests(
  folder: string,
  name: string,
  requests: Iterable<Request>,
): Promise<string> {
  const file = join(folder, `${name}.requests`);
  await pipeline(textOf(requests), createWriteStream(file));
  return file;
}

// In pieces: a million of them are more than a string can hold twice.
function* textOf(requests: Iterable<Request>): Generator<string> {
  let piece: string[] = [];
  for (const { method, path, header } of requests) {
    piece.push(`${method} ${path} ${header}\n`);
    if (piece.length < 10_000) continue;
    yield piece.join("");
    piece = [];
  }
  yield piece.join("");
}

/** A program that makes load, in a process of its own. */
export interface LoadGenerator {
  readonly name: "wrk" | "autocannon";
  run(load: Load, signal?: AbortSignal): Promise<LoadResult>;
}

/** wrk where it is installed, else autocannon, which needs more of the machine for itself. */
export function findLoadGenerator(): LoadGenerator {
  try {
    execFileSync("wrk", ["-v"], { stdio: "ignore" });
  } catch (error) {
    // It exits with 1 after telling its version.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return autocannon;
  }
  return wrk;
}

const wrk: LoadGenerator = {
  name: "wrk",
  async run({ port, requests, connections, seconds, apart }, signal) {
    // It has requests by thread, not by connection.
    const threads = String(apart ? connections : 1);
    const script = fileURLToPath(new URL("wrk.lua", import.meta.url));
    const { stdout } = await execute(
      "wrk",
      ["-t", threads, "-c", String(connections), "-d", `${seconds}s`, "-s", script].concat(
        `http://127.0.0.1:${port}/`,
      ),
      {
        env: { ...process.env, BENCH_CREDENTIALS: requests, BENCH_THREADS: threads },
        ...(signal && { signal }),
      },
    );
    return readWrk(stdout);
  },
};

/** Reads the line that wrk.lua writes after wrk's own. */
export function readWrk(output: string): LoadResult {
  const line = output.split("\n").find((each) => each.startsWith("{"));
  if (line === undefined) throw new Error(`wrk said nothing of its results:\n${output}`);
  return JSON.parse(line) as LoadResult;
}

const autocannon: LoadGenerator = {
  name: "autocannon",
  async run(load, signal) {
    const child = fork(new URL("autocannon.ts", import.meta.url), [JSON.stringify(load)], {
      execArgv: ["--import", "tsx"],
      detached: true,
      ...(signal && { signal }),
    });
    const results: LoadResult[] = [];
    child.on("message", (result: LoadResult) => results.push(result));
    await once(child, "exit");
    if (results[0] === undefined) throw new Error("autocannon ended without results.");
    return results[0];
  },
};

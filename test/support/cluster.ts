import { fork, type ChildProcess } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import { ended } from "./child-process.js";
import { secrets } from "./secrets.js";

/** Processes that run the same server module, each on a port of its own. */
export interface Cluster {
  /** Of each worker; the array is live, since a restarted worker has a new port. */
  readonly ports: readonly number[];
  readonly baseUrls: readonly string[];
  /** What all workers have written to stdout and stderr so far. */
  output(): string;
  /** Resolves when the process has ended. Default: SIGTERM. */
  kill(index: number, signal?: NodeJS.Signals): Promise<void>;
  /** Starts the worker anew; kills it first when it still runs. */
  restart(index: number): Promise<void>;
  /** Ends them all. */
  close(): Promise<void>;
}

const START_DEADLINE_MS = 30_000;

/** Ends a worker with its parent, however that ends, also when the module forgets to. */
const DIE_WITH_PARENT = `data:text/javascript,${encodeURIComponent(
  'process.on("disconnect", () => process.exit(1));',
)}`;

/**
 * Forks `count` processes of a TypeScript module that listens on 127.0.0.1, port 0, and tells the port
 * by `process.send({ port })`.
 *
 * @param module a path, or a URL such as `new URL("../support/worker.ts", import.meta.url)`
 * @param env is added to our own environment
 */
export async function startWorkers(
  count: number,
  module: string | URL,
  env: Readonly<Record<string, string>> = {},
): Promise<Cluster> {
  const cluster = new WorkerCluster(
    typeof module === "string" ? module : fileURLToPath(module),
    env,
  );
  const indexes = Array.from({ length: count }, (_, index) => index);
  const starts = await Promise.allSettled(indexes.map((index) => cluster.restart(index)));
  const failed = starts.find((start) => start.status === "rejected");
  if (failed !== undefined) {
    await cluster.close();
    throw failed.reason;
  }
  return cluster;
}

class WorkerCluster implements Cluster {
  readonly ports: number[] = [];
  readonly baseUrls: string[] = [];
  readonly #workers: (ChildProcess | undefined)[] = [];
  readonly #output: string[] = [];

  constructor(
    private readonly modulePath: string,
    private readonly env: Readonly<Record<string, string>>,
  ) {}

  output(): string {
    return this.#output.join("");
  }

  async kill(index: number, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const worker = this.#workers[index];
    if (worker === undefined) return;
    this.#workers[index] = undefined;
    worker.kill(signal);
    await ended(worker);
  }

  async restart(index: number): Promise<void> {
    await this.kill(index, "SIGKILL");
    const worker = this.#fork();
    this.#workers[index] = worker;
    const port = await this.#portOf(worker);
    this.ports[index] = port;
    this.baseUrls[index] = `http://127.0.0.1:${port}`;
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((_, index) => this.kill(index, "SIGKILL")));
  }

  #fork(): ChildProcess {
    const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
    const worker = fork(this.modulePath, [], {
      env: { ...process.env, ...this.env },
      execArgv: ["--import", tsx, "--import", DIE_WITH_PARENT],
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    for (const stream of [worker.stdout, worker.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#output.push(text);
        secrets.see("the output of a worker", text);
      });
    }
    return worker;
  }

  #portOf(worker: ChildProcess): Promise<number> {
    return new Promise((resolve, reject) => {
      const fail = (reason: string): void => {
        clearTimeout(deadline);
        worker.kill("SIGKILL");
        reject(new Error(`${reason}: ${this.modulePath}\n${this.output()}`));
      };
      const deadline = setTimeout(() => fail("The worker told no port"), START_DEADLINE_MS);
      worker.on("message", (message: { port?: unknown }) => {
        if (typeof message.port !== "number") return;
        clearTimeout(deadline);
        resolve(message.port);
      });
      // "close" comes after the last of its output, which says why it ended.
      worker.once("close", () => fail("The worker ended before it told its port"));
    });
  }
}

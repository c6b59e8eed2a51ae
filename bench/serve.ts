import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { Secrets } from "./credentials.js";

/** What every server of a run works with. */
export interface World {
  readonly databaseUrl: string;
  /** The folder of the built package, as a URL. */
  readonly product: string;
  readonly secrets: Secrets;
}

/** What a server has used since it started. */
export interface Usage {
  /** User and system time, of all threads. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly heapBytes: number;
}

/** A variant's application, in a process of its own. */
export interface Served {
  readonly port: number;
  readonly url: string;
  /** `collect` has it collect its garbage first. */
  usage(options?: { collect: boolean }): Promise<Usage>;
  stop(): Promise<void>;
}

/** What a server is told, and what it answers. */
export type Question = "usage" | "usage after collection";
export interface Answer {
  readonly port: number;
  readonly usage: Usage;
  readonly problem?: string;
}

/** Starts the application of a variant, by its id. The process ends with this one. */
export async function serve(variant: string, world: World): Promise<Served> {
  const server = fork(new URL("server.ts", import.meta.url), [variant], {
    execArgv: ["--import", "tsx", "--expose-gc"],
    env: { ...process.env, NODE_ENV: "production", BENCH_WORLD: JSON.stringify(world) },
    // Its own process group: Ctrl-C in the terminal is for us alone.
    detached: true,
  });
  const ended = once(server, "exit");
  const stop = async () => {
    if (server.connected) server.disconnect();
    await ended;
  };
  const ask = async (question: Question) => {
    const next = nextAnswer(server, variant);
    server.send(question);
    return next;
  };
  try {
    const { port } = await nextAnswer(server, variant);
    return {
      port,
      url: `http://127.0.0.1:${port}`,
      usage: async ({ collect } = { collect: false }) =>
        (await ask(collect ? "usage after collection" : "usage")).usage,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** @throws Error when the server ends, or tells of a problem, instead */
function nextAnswer(server: ChildProcess, variant: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      server.off("message", onMessage);
      server.off("exit", onExit);
    };
    const onMessage = (message: Answer) => {
      settle();
      if (message.problem !== undefined) reject(new Error(`${variant}: ${message.problem}`));
      else resolve(message);
    };
    const onExit = () => {
      settle();
      reject(new Error(`The server of ${variant} ended by itself.`));
    };
    server.on("message", onMessage);
    server.on("exit", onExit);
  });
}

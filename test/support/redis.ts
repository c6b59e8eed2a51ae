import type { ChildProcess } from "node:child_process";
import { rm } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ended, spawnUnprivileged, tailOfLog } from "./child-process.js";
import { dieWithParent } from "./die-with-parent.js";
import { findServer } from "./find-server.js";
import { freePort } from "./free-port.js";
import { unprivilegedTemporaryFolder } from "./unprivileged.js";

/** A Redis of our own on 127.0.0.1. It ends with this process, however that ends. */
export interface RedisServer {
  readonly port: number;
  /** Starts it again after `kill()`: same port, same data. */
  start(): Promise<void>;
  /** SIGKILL: what a crash looks like to clients. What was written stays. */
  kill(): Promise<void>;
  /** Stops it and removes its temporary folder. */
  close(): Promise<void>;
}

const START_DEADLINE_MS = 10_000;

export async function startRedis(): Promise<RedisServer> {
  const binary = findServer("redis-server", "Redis");
  const port = await freePort();
  const folder = await unprivilegedTemporaryFolder("session-bridge-redis-");
  const logFile = join(folder, "redis.log");
  let child: ChildProcess | undefined;
  let releaseWatchdog = (): void => undefined;

  async function start(): Promise<void> {
    if (child !== undefined) return;
    child = spawnUnprivileged(binary, settings(port, folder), folder, logFile);
    let running = true;
    void ended(child).then(() => (running = false));
    const deadline = Date.now() + START_DEADLINE_MS;
    while (!(await answers(port))) {
      if (!running || Date.now() > deadline) {
        await kill();
        throw new Error(`Redis did not start:\n${await tailOfLog(logFile)}`);
      }
      await sleep(20);
    }
    releaseWatchdog = dieWithParent(child.pid!, folder);
  }

  async function kill(): Promise<void> {
    releaseWatchdog();
    const killed = child;
    child = undefined;
    killed?.kill("SIGKILL");
    if (killed !== undefined) await ended(killed);
  }

  async function close(): Promise<void> {
    await kill();
    await rm(folder, { recursive: true, force: true });
  }

  await start().catch(async (error: unknown) => {
    await close();
    throw error;
  });
  return { port, start, kill, close };
}

function settings(port: number, folder: string): string[] {
  const given = {
    bind: "127.0.0.1",
    port: String(port),
    dir: folder,
    save: "",
    // Killed, it comes back with all that it has answered for.
    appendonly: "yes",
    appendfsync: "always",
  };
  return Object.entries(given).flatMap(([name, value]) => [`--${name}`, value]);
}

/** While it still loads its data, it answers with an error. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("PING\r\n"));
    socket.once("data", (answer) => resolve(answer.toString() === "+PONG\r\n"));
    socket.once("error", () => resolve(false));
    socket.once("close", () => resolve(false));
    socket.once("data", () => socket.destroy());
  });
}

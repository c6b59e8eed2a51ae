import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { unprivilegedIdentity } from "./unprivileged.js";

/** Starts a server as an unprivileged user in `folder`, its output appended to `logFile`. */
export function spawnUnprivileged(
  command: string,
  args: readonly string[],
  folder: string,
  logFile: string,
): ChildProcess {
  const log = openSync(logFile, "a");
  try {
    return spawn(command, args, {
      ...unprivilegedIdentity(),
      cwd: folder,
      // The C locale is the one that exists everywhere; messages in it can be recognised.
      env: { PATH: process.env.PATH, LC_ALL: "C", TZ: "UTC", HOME: folder },
      // Ctrl-C in the terminal is for us alone: we stop our servers in order.
      detached: process.platform !== "win32",
      stdio: ["ignore", log, log],
    });
  } finally {
    closeSync(log);
  }
}

/** Resolves with the exit code, or null after a signal, or when the process could not start. */
export function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((resolve) => {
    child.once("exit", (code) => resolve(code));
    child.once("error", () => resolve(null));
  });
}

/** The last lines of a server's log, for the message of an error. */
export async function tailOfLog(logFile: string): Promise<string> {
  const log = await readFile(logFile, "utf8").catch(() => "");
  return log.split("\n").slice(-20).join("\n");
}

import { spawn } from "node:child_process";

/**
 * Kills a server and removes its folder when this process ends in any way, SIGKILL included: a test
 * run that is cut off must leave no PostgreSQL behind. A shell waits for the end of a pipe that only
 * we hold open. Call the returned function once the server has ended by itself.
 */
export function dieWithParent(pid: number, folder: string): () => void {
  if (process.platform === "win32") return () => undefined;
  const script = 'cat >/dev/null; kill -QUIT "$1" 2>/dev/null; sleep 1; rm -rf "$2"';
  const watchdog = spawn("/bin/sh", ["-c", script, "watchdog", String(pid), folder], {
    // Its own process group: Ctrl-C in the terminal must not end it before its work is done.
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  watchdog.on("error", () => undefined);
  watchdog.stdin.on("error", () => undefined);
  watchdog.unref();
  (watchdog.stdin as unknown as { unref(): void }).unref();
  return () => {
    // The whole group, so that neither the shell nor its `cat` goes on to the next command.
    if (watchdog.pid !== undefined) signalGroup(watchdog.pid);
  };
}

function signalGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Gone already.
  }
}

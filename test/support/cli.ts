import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** The command line's own file. */
export const cliFile = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

/** How a run of the command line ended. */
export interface CliRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const tsx = new URL(import.meta.resolve("tsx")).href;

/**
 * Runs the command line as a program. `input` is what it finds on standard input; Ctrl-C comes once
 * `interruptWhen` says so of the output so far.
 */
export function cli(
  args: readonly string[],
  env: Record<string, string> = {},
  options: { input?: string; interruptWhen?: (stdout: string, stderr: string) => boolean } = {},
): Promise<CliRun> {
  return new Promise((resolve, reject) => {
    const { DATABASE_URL: _, FORCE_COLOR: __, SESSION_BRIDGE_MODE: ___, ...own } = process.env;
    const child = spawn(process.execPath, ["--import", tsx, cliFile, ...args], {
      env: { ...own, ...env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    const output = { stdout: "", stderr: "" };
    let isInterrupted = false;
    for (const name of ["stdout", "stderr"] as const) {
      child[name].on("data", (text: Buffer) => {
        output[name] += text.toString();
        if (isInterrupted || options.interruptWhen?.(output.stdout, output.stderr) !== true) return;
        isInterrupted = true;
        child.kill("SIGINT");
      });
    }
    child.stdin.on("error", () => undefined);
    child.stdin.end(options.input ?? "");
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, ...output }));
  });
}

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { SessionBridge } from "../session-bridge.js";
import { CommandError, UsageError } from "./command.js";
import { reasonOf } from "./connection.js";

/** The option of commands that need the application's own bridge. */
export const appOption = { app: { type: "string" } } as const;

export const appHelp = `  --app       a module that exports the application's bridge as \`bridge\` or by default, and does
              not listen when it is imported; default: the environment variable SESSION_BRIDGE_APP`;

/** The application's bridge, where `--app` or the environment names its module. */
export async function loadBridge(given: string | undefined): Promise<SessionBridge | undefined> {
  const file = given ?? process.env["SESSION_BRIDGE_APP"];
  if (file === undefined || file === "") return undefined;
  let module: Record<string, unknown>;
  try {
    module = (await import(pathToFileURL(resolve(file)).href)) as Record<string, unknown>;
  } catch (error) {
    throw new CommandError(`--app ${file} cannot be imported: ${whyNotImported(error)}`);
  }
  const bridge = [module["bridge"], module["default"]].find(isBridge);
  if (bridge !== undefined) return bridge;
  throw new UsageError(
    `--app ${file} exports no bridge: export what sessionBridge(…) gave, as \`bridge\`.`,
  );
}

/** Why a module cannot be imported, and what to do where that is its language. */
export function whyNotImported(error: unknown): string {
  const reason = reasonOf(error);
  const isTypeScript = /^Unknown file extension "\.[cm]?tsx?"/.test(reason);
  if (!isTypeScript) return reason;
  return 'it is TypeScript: run with NODE_OPTIONS="--import tsx", or name the compiled file';
}

/**
 * Works with the application's bridge and closes it. The process ends soon after, though the application's
 * pools and timers would keep it.
 */
export async function withBridge<Result>(
  given: string | undefined,
  work: (bridge: SessionBridge) => Promise<Result>,
): Promise<Result> {
  let bridge: SessionBridge | undefined;
  try {
    bridge = await loadBridge(given);
    if (bridge !== undefined) return await work(bridge);
    throw new UsageError("No application: give --app or set SESSION_BRIDGE_APP.");
  } finally {
    await bridge?.close();
    // By then main has told the result and set the exit code.
    setImmediate(() => process.exit());
  }
}

const isBridge = (value: unknown): value is SessionBridge =>
  typeof value === "function" && "status" in value && "sessions" in value;

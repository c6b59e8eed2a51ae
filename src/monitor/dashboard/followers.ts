import type { Mode, ModeOrigin } from "../../mode.js";
import type { MigrationStatus, ProcessStatus } from "../migration-status.js";
import { plural } from "./format.js";
import { markup, type Markup } from "./markup.js";

// Each asks for the flag about every 1.4 seconds and then tells of itself.
const followingForInMilliseconds = 6000;

/** How many processes are in the mode, in a sentence: a warning when some are not and should be. */
export function followers(status: MigrationStatus, mode: Mode, from: ModeOrigin): Markup {
  const { processes } = status;
  const all = processes.length;
  if (all === 0) return markup`No process is alive that has served a request.`;
  const behind = processes.filter((process) => isBehind(process, mode, status)).length;
  if (behind > 0) {
    const why = from === "database" ? "see Processes if that lasts" : "see Processes";
    return markup`<strong class="warn">${behind} of ${plural(all, "live process", "live processes")} ${behind === 1 ? "is" : "are"} in another mode</strong> (${why}).`;
  }
  if (processes.some((process) => process.mode !== mode)) return markup`Processes are following.`;
  return markup`${all === 1 ? "The one live process is in it." : `All ${all} live processes are in it.`}`;
}

/** Whether a process is in another mode, and not because that was set a moment ago. */
export function isBehind(
  process: ProcessStatus,
  mode: Mode,
  { changes, at }: MigrationStatus,
): boolean {
  if (process.mode === mode) return false;
  const change = changes.find(({ mode, from }) => mode !== from);
  if (change?.mode !== mode || process.modeFrom !== "database") return true;
  return Math.abs(at.getTime() - change.changedAt.getTime()) >= followingForInMilliseconds;
}

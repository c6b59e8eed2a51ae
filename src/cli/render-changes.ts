import { parseBrownout } from "../brownout.js";
import type { ModeChange } from "../store/mode-log.js";
import { shareText } from "./describe-brownout.js";
import type { Style } from "./style.js";
import { columns, oneLine, time } from "./text.js";

/** The audit trail of the flag, a line for each change, the newest first. */
export function renderChanges(changes: readonly ModeChange[], style: Style): string[] {
  return columns(
    changes.map((change, index) => [
      time(change.changedAt),
      whatChanged(change, changes[index + 1]),
      oneLine(change.changedBy),
      style.dim(oneLine(change.reason ?? "")),
    ]),
  );
}

function whatChanged({ mode, from, brownout }: ModeChange, before: ModeChange | undefined): string {
  if (from !== null && from !== mode) return `${from} → ${mode}`;
  if (JSON.stringify(brownout) === JSON.stringify(before?.brownout ?? null)) return mode;
  const started = parseBrownout(brownout);
  return started === undefined ? "brownout ended" : `brownout of ${shareText(started.share)}`;
}

import { setTimeout as pause } from "node:timers/promises";
import type { ProcessStatus } from "../monitor/migration-status.js";
import { readLiveProcesses } from "../monitor/status.js";
import type { Database } from "../store/database.js";
import { ago } from "./text.js";

/** Which processes have been seen in a mode, and which not. */
export interface Followed {
  readonly following: readonly ProcessStatus[];
  readonly others: readonly ProcessStatus[];
  readonly seconds: number;
}

const deadlineInMs = 5000;
const pollInMs = 150;

/** Waits until every live process that follows the flag in PostgreSQL has been seen in the mode. */
export async function waitForFleet(
  db: Database,
  mode: string,
  signal: AbortSignal,
): Promise<Followed> {
  const startedAt = performance.now();
  for (;;) {
    const processes = await readLiveProcesses(db);
    const others = processes.filter((process) => process.mode !== mode);
    const waitedInMs = performance.now() - startedAt;
    const isPointless = others.every(({ modeFrom }) => modeFrom !== "database");
    if (isPointless || waitedInMs > deadlineInMs || signal.aborted) {
      const following = processes.filter((process) => process.mode === mode);
      return { following, others, seconds: waitedInMs / 1000 };
    }
    await pause(pollInMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Why a process has not been seen in the mode, and what to do about it. */
export function whyNot({ mode, modeFrom, seenAt }: ProcessStatus, now: Date): string {
  const is = `is in mode ${mode}`;
  switch (modeFrom) {
    case "option":
    case "function":
      return `${is} by the application's option mode and never follows: remove that option`;
    case "environment":
      return `${is} by SESSION_BRIDGE_MODE and never follows: remove that variable`;
    case "database":
      return `${is}, last seen ${ago(seenAt, now)}: it has ended without a word, or does not reach the database`;
  }
}

import { setTimeout as sleep } from "node:timers/promises";

/** Holds work back so that no more than so many steps a second are taken, evenly. */
export function createPace(
  stepsPerSecond: number,
  signal: AbortSignal | undefined,
): (steps: number) => Promise<void> {
  let next = performance.now();
  return async (steps) => {
    const now = performance.now();
    const at = Math.max(next, now);
    next = at + (steps * 1000) / stepsPerSecond;
    // An abort ends the wait; whoever waits looks at the signal.
    if (at > now) await sleep(at - now, undefined, { signal }).catch(() => undefined);
  };
}

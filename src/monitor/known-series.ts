import { bridgeErrorCodes } from "../errors.js";
import type { LegacyOutcome, PresentedCredential, TokenRefusal } from "../events.js";
import { modes } from "../mode.js";
import { type Counted, type Counter, counters } from "./counters.js";

const outcomes: Record<LegacyOutcome, true> = {
  hit: true,
  missed: true,
  unverified: true,
  retired: true,
  redundant: true,
  dropped: true,
};
const reasons: Record<TokenRefusal, true> = { unverified: true, expired: true, ended: true };
const presented: Record<PresentedCredential, true> = {
  bearer: true,
  invalid: true,
  legacy: true,
  none: true,
  refresh: true,
};

/** What a request may present. */
export const credentials = Object.keys(presented);

/**
 * Every series that can be known before anything happens. A counter that starts at 0 shows its first
 * increment; one that starts at 1 hides it from `rate()`.
 *
 * @param sources names of the old session systems
 */
export function knownSeries(sources: readonly string[]): Counted[] {
  const values = {
    mode: modes,
    credential: credentials,
    source: sources,
    outcome: Object.keys(outcomes),
    result: ["rotated", "repeated", "reused", ...Object.keys(reasons)],
    reason: Object.keys(reasons),
    code: bridgeErrorCodes,
  };
  return (Object.keys(counters) as Counter[]).flatMap((counter) => {
    let rows: string[][] = [[]];
    for (const attribute of counters[counter].attributes) {
      rows = rows.flatMap((row) => values[attribute].map((value) => [...row, value]));
    }
    return rows.map((row) => ({ counter, values: row, labels: {} }));
  });
}

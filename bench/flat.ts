import { median } from "./table.js";

/** Growth from the second third of the samples to the last that is still no growth: it is noise. */
const tolerance = 1.1;

/** Memory does not grow: the first third fills what is bounded, the others are to be alike. */
export function isFlat(samples: readonly number[]): boolean {
  const third = Math.floor(samples.length / 3);
  if (third === 0) throw new Error("The load was too short to say whether memory stays flat.");
  const last = median(samples.slice(-third));
  return last <= tolerance * median(samples.slice(-2 * third, -third));
}

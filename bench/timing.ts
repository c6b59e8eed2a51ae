import { setImmediate as turn } from "node:timers/promises";
import { median } from "./table.js";

export interface Timing {
  readonly name: string;
  /** Microseconds an operation, of each sample. */
  readonly samples: readonly number[];
}

const samples = 9;
const sampleMs = 100;

/** Times `operation`, which may be asynchronous, one after another. */
export async function timed(
  name: string,
  operation: () => unknown,
  signal: AbortSignal,
): Promise<Timing> {
  // Also the warm-up; a sample then repeats it without looking at the clock.
  let times = 0;
  for (const start = performance.now(); performance.now() - start < 2 * sampleMs; times += 1) {
    await operation();
  }
  const repeat = Math.max(1, Math.ceil(times / 2));
  const measured: number[] = [];
  while (measured.length < samples) {
    // Lets Ctrl-C be heard.
    await turn(undefined, { signal });
    const start = performance.now();
    for (let index = 0; index < repeat; index += 1) {
      const result = operation();
      if (result instanceof Promise) await result;
    }
    measured.push(((performance.now() - start) * 1000) / repeat);
  }
  return { name, samples: measured };
}

/** Median, least and most of each timing, and how many a second, as a row of a table. */
export function timingRow({ name, samples }: Timing): string[] {
  const middle = median(samples);
  const [least, most] = [Math.min(...samples), Math.max(...samples)];
  const perSecond = Math.round(1_000_000 / middle).toLocaleString("en-US");
  return [name, middle.toFixed(2), `${least.toFixed(2)}–${most.toFixed(2)}`, perSecond];
}

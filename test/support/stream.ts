import { setTimeout as sleep } from "node:timers/promises";
import type { BrowserResponse } from "./client.js";

/** A client that asks again as soon as it is answered, until told to stop. */
export interface Stream {
  /** Every answer so far, in order; the array is live. */
  readonly answers: readonly BrowserResponse[];
  /** Resolves when this many requests that began after the call have been answered. */
  more(count: number): Promise<BrowserResponse[]>;
  /** Resolves with the first answer, of a request that began after the call, that fits. */
  until(fits: (answer: BrowserResponse) => boolean): Promise<BrowserResponse>;
  stop(): Promise<void>;
}

const deadlineMs = 30_000;

export function startStream(request: () => Promise<BrowserResponse>): Stream {
  const answers: BrowserResponse[] = [];
  let stopped = false;
  let failure: { error: unknown } | undefined;

  const loop = (async () => {
    while (!stopped) answers.push(await request());
  })().catch((error: unknown) => {
    failure = { error };
  });

  // The answer that is under way when the call is made belongs to a request that began before it.
  async function fresh(enough: (fresh: BrowserResponse[]) => boolean): Promise<BrowserResponse[]> {
    const from = answers.length + 1;
    const deadline = Date.now() + deadlineMs;
    while (!enough(answers.slice(from))) {
      if (failure !== undefined) throw failure.error;
      if (Date.now() > deadline) throw new Error("the stream does not give what is waited for");
      await sleep(5);
    }
    return answers.slice(from);
  }

  return {
    answers,
    more: async (count) => (await fresh((found) => found.length >= count)).slice(0, count),
    until: async (fits) => (await fresh((found) => found.some(fits))).find(fits)!,
    stop: async () => {
      stopped = true;
      await loop;
      if (failure !== undefined) throw failure.error;
    },
  };
}

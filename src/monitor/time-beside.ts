import type { Next } from "koa";

/** Measures what a middleware takes beside what it waits for. */
export function timeBeside(next: Next): { next: Next; addedInSeconds(): number } {
  const startedAt = performance.now();
  let waitedInMs = 0;
  return {
    next: async () => {
      const calledAt = performance.now();
      try {
        await next();
      } finally {
        waitedInMs += performance.now() - calledAt;
      }
    },
    addedInSeconds: () => (performance.now() - startedAt - waitedInMs) / 1000,
  };
}

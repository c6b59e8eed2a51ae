// npx passes on a Ctrl-C that the terminal has sent to the program as well.
const sameWithinMs = 300;

/**
 * Runs work that Ctrl-C or SIGTERM stops at its next safe point; a second one ends the process at once.
 */
export async function interruptible<Result>(
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const controller = new AbortController();
  let stoppedAt = 0;
  const stop = (name: NodeJS.Signals) => {
    const isAgain = performance.now() - stoppedAt > sameWithinMs;
    if (controller.signal.aborted && isAgain) process.exit(name === "SIGINT" ? 130 : 143);
    if (!controller.signal.aborted) stoppedAt = performance.now();
    controller.abort();
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  try {
    return await work(controller.signal);
  } finally {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
}

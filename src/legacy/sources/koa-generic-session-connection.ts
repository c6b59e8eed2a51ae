import type { GenericStore } from "./koa-generic-session-format.js";

/** The old store has said that it is away, and has not come back in time. */
export class DisconnectedError extends Error {
  override readonly name = "DisconnectedError";
}

/**
 * Waits for a store that tells when it has lost its connection, as koa-generic-session does. That would
 * have every request wait, those too that need no old store, and would end the process when none does.
 */
export function connectionOf(client: GenericStore, reconnectTimeoutMs = 10_000) {
  let connected: (() => void) | undefined;
  let ready = Promise.resolve();

  client.on?.("disconnect", () => {
    if (connected !== undefined) return;
    ready = new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new DisconnectedError("the old session store is disconnected"));
      }, reconnectTimeoutMs);
      timer.unref();
      connected = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    ready.catch(() => undefined);
  });
  client.on?.("connect", () => {
    connected?.();
    connected = undefined;
    ready = Promise.resolve();
  });

  return {
    /** @throws DisconnectedError when the store stays away */
    ready: () => ready,
  };
}

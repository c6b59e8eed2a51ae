import { AsyncLocalStorage } from "node:async_hooks";
import type { Context } from "koa";
import { BridgeError } from "../errors.js";
import type { LegacyRequest } from "./legacy-request.js";

/**
 * The store that the old middleware is given in place of its own. Each operation is told how to reach
 * the old store with the old middleware's very arguments.
 */
export interface BridgingStore {
  get(key: string, readOld: Reach): Promise<unknown>;
  set(
    key: string,
    value: unknown,
    writeOld: (ctx: Context | undefined, value: unknown) => unknown,
    destroyOld: Reach,
  ): Promise<void>;
  destroy(key: string, destroyOld: Reach): Promise<void>;
  /** The old middleware took the value that it read as a valid session. */
  accept(): void;
  /** For data cookies, whose middleware reads and writes without waiting. */
  readonly cookie: {
    /** What the middleware gets for a decoded cookie. */
    read(key: string, payload: unknown): unknown;
    /** The id to write beside the data, or undefined for none. */
    write(value: unknown, newKey: () => string): string | undefined;
    /** The middleware clears the cookie. */
    clear(): void;
  };
}

/** How to reach the old store, given the request, if there is one. */
type Reach = (ctx: Context | undefined) => unknown;

const requests = new AsyncLocalStorage<LegacyRequest>();

/** Runs the old middleware so that the bridging store knows whose request it serves. */
export function runWithRequest<Result>(request: LegacyRequest, run: () => Result): Result {
  return requests.run(request, run);
}

/** The old middleware may also run where the bridge does not, on a context made by hand: then it is as before. */
export const bridgingStore: BridgingStore = {
  async get(key, readOld) {
    const request = requests.getStore();
    if (request === undefined) return readOld(undefined);
    const session = await request.sessionOf(key);
    request.presented = session;
    return session.present(
      session.needsOldValue ? await reachOld(() => readOld(request.ctx)) : undefined,
    );
  },

  async set(key, value, writeOld, destroyOld) {
    const request = requests.getStore();
    if (request === undefined) {
      await writeOld(undefined, value);
      return;
    }
    await request.commit(key, value, {
      write: (written) => reachOld(() => writeOld(request.ctx, written)),
      destroy: () => reachOld(() => destroyOld(request.ctx)),
    });
  },

  async destroy(key, destroyOld) {
    const request = requests.getStore();
    await request?.knownSessionOf(key)?.end();
    await reachOld(() => destroyOld(request?.ctx));
  },

  accept() {
    const request = requests.getStore();
    if (request?.presented === undefined) return;
    request.presented.accepted = true;
    request.isOpened = true;
    request.current = request.presented;
  },

  cookie: {
    read(key, payload) {
      const request = requests.getStore();
      const session = request?.knownSessionOf(key);
      if (request === undefined || session === undefined) return payload;
      request.presented = session;
      return session.present(payload);
    },

    write(value, newKey) {
      const request = requests.getStore();
      if (request === undefined) return undefined;
      const current = request.current?.hasEnded === false ? request.current : undefined;
      const session = current ?? request.newSession(newKey());
      if (session.sessionId === undefined && !session.isUpgradable) return undefined;
      request.defer(() => request.commit(session.key, value, noOldValue));
      return session.key;
    },

    clear() {
      const request = requests.getStore();
      // A handler may remove a session that it never looked at.
      const session = request?.current ?? request?.credential;
      if (request === undefined || session === undefined) return;
      request.current = undefined;
      request.defer(() => session.end());
    },
  },
};

const noOldValue = { write: () => Promise.resolve(), destroy: () => Promise.resolve() };

async function reachOld<Result>(reach: () => Result): Promise<Awaited<Result>> {
  try {
    return await reach();
  } catch (cause) {
    throw new BridgeError("legacy-store-unavailable", { cause });
  }
}

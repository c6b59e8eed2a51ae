import { AsyncLocalStorage } from "node:async_hooks";
import { BridgeError } from "../errors.js";
import type { LegacyRequest } from "./legacy-request.js";
import type { BridgingStore } from "./source.js";

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

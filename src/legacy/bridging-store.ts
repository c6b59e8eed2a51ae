import { AsyncLocalStorage } from "node:async_hooks";
import type { Context } from "koa";
import type { LegacyRequest } from "./legacy-request.js";
import { reachOld } from "./reach-old.js";
import type { BridgingStore } from "./source.js";

const followed = new AsyncLocalStorage<LegacyRequest>();

/** The store of one source, which has to know whose request it serves. */
export interface SourceStore extends BridgingStore {
  /** Runs the old middleware for a request. */
  run(request: LegacyRequest, work: () => Promise<void>): Promise<void>;
}

/** The old middleware may also run where the bridge does not, on a context made by hand: then it is as before. */
export function createBridgingStore(): SourceStore {
  const byContext = new WeakMap<Context, LegacyRequest>();
  const underway = new Set<LegacyRequest>();

  // An application that reaches for the store by itself may hand no context.
  const holderOf = (key: string) =>
    [...underway].find((request) => request.knownSessionOf(key) !== undefined);
  const requestOf = (ctx: Context | undefined, key?: string) => {
    if (ctx !== undefined) return byContext.get(ctx);
    return followed.getStore() ?? (key === undefined ? undefined : holderOf(key));
  };

  // Before Node.js 24, to follow a request makes every promise of the process dearer.
  async function run(request: LegacyRequest, work: () => Promise<void>): Promise<void> {
    byContext.set(request.ctx, request);
    if (request.source.handsContext !== true) return followed.run(request, work);
    underway.add(request);
    try {
      await work();
    } finally {
      underway.delete(request);
    }
  }

  return {
    run,

    async get(key, readOld, ctx) {
      const request = requestOf(ctx, key);
      if (request === undefined) return readOld(undefined);
      const session = await request.sessionOf({ key });
      request.presented ??= session;
      request.lastRead = session;
      const oldRow = session.takeOldRow();
      if (!session.needsOldValue) return session.present(undefined);
      return oldRow === undefined
        ? session.present(await reachOld(() => readOld(request.ctx)))
        : session.present(oldRow.value, oldRow.json);
    },

    async set(key, value, writeOld, destroyOld, ctx) {
      const request = requestOf(ctx, key);
      if (request === undefined) {
        await writeOld(undefined, value);
        return;
      }
      await request.commit(key, value, {
        write: (written) => reachOld(() => writeOld(request.ctx, written)),
        destroy: () => reachOld(() => destroyOld(request.ctx)),
      });
    },

    async destroy(key, destroyOld, ctx) {
      const request = requestOf(ctx, key);
      const session = request?.knownSessionOf(key);
      const wasLinked = session?.sessionId !== undefined;
      if (request !== undefined && session === request.presented) request.hasRemoved = true;
      await session?.end();
      await request?.endDiverted(key);
      try {
        await reachOld(() => destroyOld(request?.ctx));
      } catch (error) {
        // It has ended where it counts; the old middleware goes on to clear the cookie.
        if (!wasLinked) throw error;
        request?.tell(error as Error);
      }
    },

    async touch(key, value, touchOld) {
      const request = followed.getStore();
      // A draining session is never renewed.
      if (request?.mode === "drain") return;
      await request?.knownSessionOf(key)?.prolong(value);
      await touchOld(request?.ctx);
    },

    accept(ctx) {
      const request = requestOf(ctx);
      if (request?.lastRead === undefined) return;
      request.lastRead.accepted = true;
      request.current = request.lastRead;
      if (request.lastRead === request.presented) request.isOpened = true;
    },

    isOpened: () => followed.getStore()?.isOpened === true,

    currentKey: () => followed.getStore()?.current?.key,

    later(work) {
      const request = followed.getStore();
      if (request === undefined) work().catch(() => undefined);
      else request.defer(() => run(request, work));
    },

    cookie: {
      read(payload) {
        const request = followed.getStore();
        if (request?.credential === undefined) return payload;
        request.presented = request.lastRead = request.credential;
        return request.presented.present(payload);
      },

      write(value) {
        const request = followed.getStore();
        if (request === undefined) return {};
        const current = request.currentInCookie();
        // Of a session that somebody else has ended meanwhile, the cookie keeps the key that opens nothing.
        const ended = request.current?.hasEnded === true ? request.current : undefined;
        const session = current ?? ended ?? request.newSession({ key: request.newKey() });
        request.current = session;
        request.defer(() => request.commit(session.key, value, noOldValue));
        // A key that the cookie has stays in it; a new one is for sessions that can be upgraded.
        const hasKey = session === request.credential && !session.isMinted;
        return {
          ...((hasKey || session.isUpgradable || ended) && { id: session.key }),
          // A draining cookie is never renewed.
          ...(request.mode === "drain" &&
            request.isOpened && { bookkeeping: request.presented?.bookkeeping ?? {} }),
        };
      },

      clear() {
        const request = followed.getStore();
        if (request === undefined) return;
        // A handler may remove a session that it never looked at.
        const session = request.currentInCookie() ?? request.credential;
        request.current = undefined;
        request.hasRemoved = true;
        request.defer(() => request.endDiverted());
        if (session !== undefined) request.defer(() => session.end());
      },
    },
  };
}

const noOldValue = { write: () => Promise.resolve(), destroy: () => Promise.resolve() };

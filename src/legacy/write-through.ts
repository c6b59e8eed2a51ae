import type { Context } from "koa";
import { BridgeError } from "../errors.js";
import { type LinkRow, linkOfSession } from "../store/links.js";
import type { SessionStoreHooks } from "../tokens/session-store.js";
import type { TokenPathHooks } from "../tokens/session-handle.js";
import { commitThrough, type OldRow, settleRow } from "./commit-through.js";
import { withDeadline } from "../deadline.js";
import type { LegacyEnvironment } from "./environment.js";
import { hashLegacyKey, openLegacyKey } from "./sealed-key.js";
import type { LegacySource, OldStore } from "./source.js";

type LinkReference = Pick<LinkRow, "source" | "key" | "sealedKey">;

// For the request of a token, which the old store must not hold up.
const deadlineInMilliseconds = 1000;

/** Keeps the old store in step with what happens to a session by its tokens. */
export interface WriteThrough {
  readonly ofRequests: TokenPathHooks;
  readonly ofStore: SessionStoreHooks;
  /** Ends the legacy side of a session that has ended. */
  end(link: LinkReference, ctx?: Context): Promise<void>;
}

export function createWriteThrough(
  env: LegacyEnvironment,
  sources: readonly LegacySource[],
  isOver: () => boolean,
): WriteThrough {
  const { db } = env.store;
  const sourceOf = (link: LinkReference) => sources.find(({ name }) => name === link.source);

  // The token session holds the truth: an old store that is away must not fail the request.
  async function reach(link: LinkReference, act: (store: OldStore, key: string) => Promise<void>) {
    const store = sourceOf(link)?.oldStore;
    if (store === undefined || link.sealedKey === null) return;
    const key = openLegacyKey(env.keys, link.key, link.sealedKey);
    if (key === undefined) {
      const lost = "a link was sealed under a signing key that has left tokens.signingKeys";
      env.events.emit("error", new Error(lost));
      return;
    }
    const acting = act(store, key);
    try {
      await withDeadline(acting, deadlineInMilliseconds);
    } catch (cause) {
      acting.then(() => forgetEnded(link, store, key)).catch(() => undefined);
      env.events.emit("error", new BridgeError("legacy-store-unavailable", { cause }));
    }
  }

  // A write that was given up may have come after the session's end.
  async function forgetEnded({ key: hash }: LinkReference, store: OldStore, key: string) {
    if ((await env.readLink(hash.toString("base64url"))) === "ended") {
      await store.destroy(key, undefined);
    }
  }

  function rowOf(link: LinkRow, ctx?: Context): OldRow | undefined {
    if (!env.writeThrough || isOver()) return undefined;
    const { bookkeeping } = link;
    return {
      write: (data) => reach(link, (store, key) => store.set(key, { data, bookkeeping }, ctx)),
      destroy: () => reach(link, (store, key) => store.destroy(key, ctx)),
    };
  }

  async function end(link: LinkReference, ctx?: Context) {
    await reach(link, (store, key) => store.destroy(key, ctx));
    if (ctx === undefined) return;
    const source = sourceOf(link);
    const key = source?.readKey(ctx, db.now());
    const isItsCookie =
      source && key !== undefined && hashLegacyKey(source.name, key.key).equals(link.key);
    if (isItsCookie === true) source?.clear(ctx);
  }

  return {
    end,
    ofRequests: {
      opened: (ctx, session, row) => {
        const source = row?.link ? sourceOf(row.link) : sources[0];
        source?.extendTokenPath?.(ctx, session);
      },
      committing: (ctx, { id, checksum, link }, data, commit) =>
        commitThrough(
          db,
          { id, checksum, data },
          link === null ? undefined : rowOf(link, ctx),
          commit,
        ),
      ended: async (ctx, { link }) => {
        if (link !== null) await end(link, ctx);
      },
    },
    ofStore: {
      cookieLingerInSeconds: env.cookieLingerInSeconds,
      updated: async (sessionId, committed) => {
        const link = await linkOfSession(db, sessionId);
        await settleRow(db, sessionId, committed, link && rowOf(link));
      },
      ended: async (sessionId) => {
        const link = await linkOfSession(db, sessionId);
        if (link !== undefined) await end(link);
      },
    },
  };
}

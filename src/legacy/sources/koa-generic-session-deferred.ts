import { randomBytes } from "node:crypto";
import type { Context } from "koa";
import { BridgeError } from "../../errors.js";
import { isObject } from "./cookie.js";
import type { GenericOptions, SessionIdStore } from "./koa-generic-session-format.js";
import type { BridgingStore } from "../source.js";

interface DeferredContext {
  readonly session?: Promise<unknown>;
  sessionId: string | undefined;
  readonly sessionSave?: boolean | null;
  /** koa-generic-session's own, around the bridging one: it knows prefix and ttl. */
  readonly sessionStore: {
    get(id: string): Promise<unknown>;
    set(id: string, session: object): Promise<void>;
  };
}

/** koa-generic-session with `defer`: it reads the session when the handler asks for it, if ever. */
export interface DeferredSessions {
  /** To be called before koa-generic-session stores a session that was set unread. */
  findId(ctx: Context): Promise<string>;
  readonly idOf: (ctx: Context) => string | undefined;
  /** Stores the session now; of its own accord koa-generic-session would store the promise of it. */
  save(ctx: Context): Promise<void>;
}

/** @param read a session by its id, accepted as the options say */
export function deferredSessions(
  options: GenericOptions,
  ids: SessionIdStore,
  bridging: BridgingStore,
  read: (ctx: Context, id: string) => Promise<boolean>,
): DeferredSessions {
  const found = new WeakMap<Context, string>();

  /** What it does not check by itself: whether the presented id is one that it has given out. */
  async function findId(ctx: Context): Promise<string> {
    const presented = found.get(ctx) ?? ids.get.call(ctx);
    const { genSid = newId } = options;
    const isKnown = presented && (found.has(ctx) || (await read(ctx, presented)));
    const id = isKnown ? presented : await genSid.call(ctx, 24);
    found.set(ctx, id);
    return id;
  }

  return {
    findId,
    idOf: (ctx) => found.get(ctx),

    async save(ctx) {
      const on = ctx as unknown as DeferredContext;
      const session = await on.session;
      if (!isObject(session)) throw new BridgeError("no-session");
      const id = (on.sessionId ??= await findId(ctx));
      const isNew = bridging.currentKey() === undefined;
      const isUnchanged = isNew
        ? Object.keys(session).every((name) => name === "cookie")
        : JSON.stringify(session) === JSON.stringify(await on.sessionStore.get(id));
      if (isUnchanged || on.sessionSave === false) return;
      // koa-generic-session does the rest when the handler is done: it saves once more, and sets the cookie.
      await on.sessionStore.set(id, session);
    },
  };
}

const newId = () => randomBytes(24).toString("base64url");

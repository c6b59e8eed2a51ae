import type { Context } from "koa";
import { defineSession, type Session } from "../../tokens/session.js";
import type { SessionHandle } from "../../tokens/session-handle.js";
import { isObject } from "./cookie.js";

/** What koa-generic-session puts on `ctx`, for a request with a bearer token. */
export function extendTokenPath(
  ctx: Context,
  handle: SessionHandle,
  { cookie, isDeferred }: { cookie: object; isDeferred: boolean },
): void {
  handle.keepsUnderscored = true;

  const read = () => withCookie(handle.get(), cookie);
  defineSession(ctx, {
    get: () => (isDeferred ? Promise.resolve(read()) : read()),
    set: (value) => {
      handle.set(isObject(value) ? withoutCookie(value) : value || null);
    },
  });
  Object.defineProperties(ctx, {
    sessionId: { get: () => handle.externalKey, configurable: true, enumerable: true },
    sessionSave: {
      get: () => handle.isSaved,
      set: (isSaved: boolean | null) => {
        handle.isSaved = isSaved;
      },
      configurable: true,
    },
    saveSession: { value: () => handle.commit(), configurable: true },
    regenerateSession: {
      value: async () => {
        handle.set({});
        await handle.commit({ regenerate: true });
        return read();
      },
      configurable: true,
    },
  });
}

// Handlers set the lifetime of a session by its cookie. No data: it is neither stored nor listed.
function withCookie(session: Session | null, cookie: object): Session | null {
  if (session === null || Object.hasOwn(session, "cookie")) return session;
  const value = Object.defineProperty({ ...cookie }, "maxAge", {
    get: () => session.maxAge,
    set: (milliseconds: number | null) => {
      session.maxAge = milliseconds;
    },
    enumerable: true,
  });
  return Object.defineProperty(session, "cookie", { value, writable: true, configurable: true });
}

function withoutCookie({ cookie: _, ...data }: Record<string, unknown>): object {
  return data;
}

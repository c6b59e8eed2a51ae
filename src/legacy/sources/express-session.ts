import type { Context } from "koa";
import { cookieOf, isObject, lifetimeInSeconds, ownMaxAgeInSeconds } from "./cookie.js";
import {
  type ExpressSessionOptions,
  type ExpressSessionStore,
  expiryOf,
  idsOfAll,
  readExpressOptions,
  renewedSession,
  storableSession,
  verifiedId,
} from "./express-session-format.js";
import { keysOfTable, type OldTable } from "../../store/old-table.js";
import { keysOf } from "./store-keys.js";
import { readOnlySource, type ReadOnlySystem } from "./read-only.js";
import type { BridgingStore, LegacySource, LegacyValue, OldStore } from "../source.js";

type Callback = (error?: Error | null, result?: unknown) => void;

/**
 * Sessions of express-session 1, for an application that has moved to Koa. Its cookie is read and
 * cleared, never written: a new session gets tokens.
 *
 * @param options the options object that express-session was given
 * @throws TypeError that lists every invalid option
 */
export function expressSession<Options extends ExpressSessionOptions>(
  options: Options,
): LegacySource {
  const { secrets, store, name, cookieFor, configuredMaxAge, pgTable, table } =
    readExpressOptions(options);
  const ids = new WeakMap<Context, string | undefined>();

  const read = (id: string) =>
    call((callback) => store.get(id, callback)).catch((error: unknown) => {
      // express-session takes a file that is not there for a session that is not there.
      if ((error as { code?: unknown }).code === "ENOENT") return undefined;
      throw error;
    });
  const write = async (id: string, value: unknown) => {
    await call((callback) => store.set(id, storableSession(value) as never, callback));
  };
  const destroy = async (id: string) => {
    await call((callback) => store.destroy(id, callback));
  };
  const touchStored = async (id: string, value: unknown) => {
    if (store.touch !== undefined) {
      await call((callback) => store.touch?.(id, storableSession(value) as never, callback));
      return;
    }
    // Such a store keeps alive what is stored again, which is what `resave` is for.
    const stored = options.resave === false ? undefined : await read(id);
    if (isObject(stored)) await write(id, renewedSession(stored) ?? stored);
  };
  // Data of the name `cookie` would take the place of the session's expiry.
  const join = ({ data, bookkeeping }: LegacyValue) => ({ ...data, ...bookkeeping });

  // express-session lets a session live on that is used, and has its store know.
  function touch(id: string, value: unknown, bridging: BridgingStore): void {
    const renewed = renewedSession(value);
    if (renewed === undefined && expiryOf(value) !== undefined) return;
    const kept = renewed ?? value;
    // As with express-session, no request fails for it.
    bridging.later(() =>
      bridging.touch(id, kept, () => touchStored(id, kept).catch(() => undefined)),
    );
  }

  const keys = listing(store, pgTable);

  const system: ReadOnlySystem = {
    readKey(ctx) {
      if (!ids.has(ctx)) ids.set(ctx, verifiedId(cookieOf(ctx, name), secrets));
      const key = ids.get(ctx);
      return key === undefined ? undefined : { key };
    },
    clear(ctx) {
      const { path = "/", domain, secure } = cookieFor(ctx);
      const place = { path, ...(domain !== undefined && { domain }) };
      const isSecure = secure === true && ctx.secure;
      ctx.cookies.set(name, null, { ...place, secure: isSecure, signed: false });
    },
    renewed: renewedSession,
    withMaxAge(bookkeeping, milliseconds) {
      const lifetime = milliseconds ?? configuredMaxAge;
      const expires = lifetime === null ? null : new Date(Date.now() + lifetime).toISOString();
      const own = { originalMaxAge: lifetime, expires };
      const stored = isObject(bookkeeping["cookie"]) ? bookkeeping["cookie"] : {};
      return { ...bookkeeping, cookie: { ...stored, ...own } };
    },
    ownMaxAgeInSeconds: ({ cookie: stored }) =>
      ownMaxAgeInSeconds(isObject(stored) ? stored["originalMaxAge"] : undefined, configuredMaxAge),
    split(value) {
      const { cookie, ...data } = isObject(value) ? value : {};
      return { data, bookkeeping: cookie === undefined ? {} : { cookie } };
    },
    join,
    read: (_ctx, id) => read(id),
    write,
    destroy,
    touch,
  };

  return {
    ...readOnlySource(system),
    name: `express-session:${name}`,
    cookieNames: [name],
    oldStore: {
      get: read,
      set: (id, value) => write(id, join(value)),
      destroy,
      ...(table && { table }),
      ...(keys && { keys }),
    },
    isTrusted: true,
    isExpiredByStore: true,
    cookieMaxAgeInSeconds: lifetimeInSeconds(configuredMaxAge),
    isPresented: (ctx) => cookieOf(ctx, name) !== undefined,
    expiresAt: (bookkeeping) => expiryOf(bookkeeping) ?? null,
  };
}

/** How the store's sessions can be listed, if they can. */
function listing(store: ExpressSessionStore, table: OldTable | undefined): OldStore["keys"] {
  if (table !== undefined) {
    const { query } = store as { query?: PgQuery };
    const run = (text: string, values: unknown[]) =>
      call((callback) => query?.call(store, text, values, callback));
    return query && (() => keysOfTable(run, table));
  }
  const all = store.all?.bind(store);
  return keysOf(store) ?? (all && (() => idsOfAll(() => call(all))));
}

// connect-pg-simple has a pool of its own, to which this is the way. It gives the first row.
type PgQuery = (text: string, values: unknown[], callback: Callback) => unknown;

function call(run: (callback: Callback) => unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    run((error, result) => {
      if (error) reject(error);
      else resolve(result);
    });
  });
}

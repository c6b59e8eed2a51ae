import type { Context, Middleware } from "koa";
import genericSession from "koa-generic-session";
import minimalSession from "koa-session-minimal";
import {
  compasSession,
  koaGenericSession,
  koaSessionMinimal,
  type LegacySource,
} from "../../../src/index.js";
import { cookieKeys, MapStore } from "../app.js";
import { koaSessionOf } from "../versions.js";
import { behindTls, compasServer } from "./compas.js";
import { development, production, setCompasEnvironment } from "./compas-environment.js";
import type { OldApplication } from "./old-system.js";
import { commonVocabulary, type Vocabulary } from "./random-operations.js";

/** An old store, for each side of a comparison its own, and the ids that are made for it. */
export class Side {
  readonly store = new MapStore();
  /** What the store was told of each key's lifetime, and when. */
  readonly #stored = new Map<string, { lifetime: unknown; at: number }>();
  #made = 0;

  /** The same ids on each side. */
  readonly newId = () => `00000000-0000-4000-8000-${String(++this.#made).padStart(12, "0")}`;

  /** Without `this`, as Compas calls it. */
  readonly client = {
    get: async (key: string) => {
      const { lifetime, at = 0 } = this.#stored.get(key) ?? {};
      const isOver = typeof lifetime === "number" && at + lifetime <= Date.now();
      return isOver ? undefined : this.store.get(key);
    },
    set: async (key: string, value: unknown, lifetime: unknown) => {
      this.#stored.set(key, { lifetime, at: Date.now() });
      await this.store.set(key, value);
    },
    destroy: (key: string) => this.store.destroy(key),
  };

  restart(): void {
    this.store.entries.clear();
    this.#stored.clear();
    this.#made = 0;
  }

  /** Each key's value and the lifetime that it was stored with. */
  rows(): [key: string, value: unknown, lifetime: unknown][] {
    return [...this.store.entries].map(([key, value]) => [
      key,
      value,
      this.#stored.get(key)?.lifetime,
    ]);
  }
}

/** One way to use an old package, by itself and with the bridge. */
export interface Variant {
  readonly vocabulary: Vocabulary;
  readonly setUp: Pick<OldApplication["bridged"], "keys" | "above">;
  plain(side: Side, app: object): Middleware;
  source(side: Side): LegacySource;
}

/** koa-generic-session, configured by the application. */
export const generic = (
  configure: (side: Side) => object,
  vocabulary: Vocabulary = {},
): Variant => {
  const config = (side: Side) => ({
    store: side.client,
    genSid: side.newId,
    cookie: { maxAge: 60_000 },
    ...configure(side),
  });
  return {
    vocabulary: { ...commonVocabulary, ...genericVocabulary, ...vocabulary },
    setUp: { keys: cookieKeys },
    plain: (side) => genericSession(config(side)),
    source: (side) => koaGenericSession(genericSession, config(side)),
  };
};

const genericVocabulary: Vocabulary = {
  // Without `cookie` it would set a cookie without a signature, which it does not accept.
  replace: async (on, { value }) => {
    const session = (await on.session) as { cookie?: object } | null;
    if (session) on.session = { cookie: session.cookie, ...Object(value) } as object;
  },
  regenerateSession: (on) => on["regenerateSession"]() as Promise<unknown>,
  saveSession: (on) => on["saveSession"]() as Promise<unknown>,
  "sessionSave = true": (on) => (on["sessionSave"] = true),
  "sessionSave = false": (on) => (on["sessionSave"] = false),
  "cookie.maxAge": async (on) => {
    const session = (await on.session) as { cookie?: { maxAge: number } } | null;
    if (session?.cookie) session.cookie.maxAge = 120_000;
  },
};

/** koa-session-minimal, configured by the application. */
export const minimal = (configure: (side: Side) => object = () => ({})): Variant => {
  const config = (side: Side) => ({
    store: side.client,
    cookie: { maxAge: 60_000 },
    ...configure(side),
  });
  return {
    vocabulary: {
      ...commonVocabulary,
      "{}": (on) => (on.session = {}),
      regenerateId: (on) => on["sessionHandler"].regenerateId() as undefined,
    },
    setUp: { keys: null },
    plain: (side) => minimalSession(config(side)),
    source: (side) => koaSessionMinimal(minimalSession, config(side)),
  };
};

const compas = (
  environment: typeof development,
  session: (...of: never[]) => unknown = compasServer,
  configure: object = {},
): Variant => {
  const config = (side: Side) => {
    setCompasEnvironment(environment);
    return { store: side.client, genid: side.newId, keepPublicCookie: true, ...configure };
  };
  const isItself = session === compasServer;
  return {
    vocabulary: {
      ...commonVocabulary,
      // Before koa-session 6.3 it is not done at once, and a session that is set next takes it back.
      ...(isItself && { save: (on) => on.session?.save() as undefined }),
      manuallyCommit: (on) => on.session?.manuallyCommit() as Promise<void> | undefined,
      maxAge: (on) => on.session && (on.session.maxAge = 120_000),
    },
    setUp: { keys: null, ...(environment.NODE_ENV === "production" && { above: behindTls }) },
    plain: (side, app) => compasServer(app, config(side)),
    source: (side) => compasSession(session, config(side)),
  };
};

// Later versions of Compas than this one renew at another time.
const notRenewed = { renew: false };

/** Each by what is special about it. Ids of koa-session-minimal are random. */
export const variants: Readonly<Record<string, Variant>> = {
  "koa-session-minimal": minimal(),
  "koa-session-minimal, its cookie by a function": minimal(() => ({
    cookie: (ctx: Context) => ({ maxAge: ctx.query["do"] === "[]" ? 0 : 60_000 }),
  })),
  "koa-generic-session": generic(() => ({})),
  "koa-generic-session, rolling": generic(() => ({ rolling: true, prefix: "other:" })),
  "koa-generic-session, deferred": generic(() => ({ defer: true }), {
    // Of its own accord it stores the promise, which is nothing: an application cannot have used it.
    saveSession: () => undefined,
    // Set unread, it would take whatever id the client has made up.
    null: async (on) => {
      await on.session;
      on.session = null;
    },
  }),
  "koa-generic-session, with its id elsewhere": generic(() => ({
    ttl: 90_000,
    sessionIdStore: {
      get(this: Context) {
        return this.cookies.get("id-of-mine", { signed: false });
      },
      set(this: Context, id: string) {
        this.cookies.set("id-of-mine", id, { signed: false, overwrite: true });
      },
      reset(this: Context) {
        this.cookies.set("id-of-mine", null, { signed: false, overwrite: true });
      },
    },
  })),
  "Compas in development": compas(development, compasServer, { maxAge: 60_000 }),
  "Compas in production": compas(production),
  "Compas in development, over koa-session 5": compas(development, koaSessionOf("5"), {
    ...notRenewed,
    keepPublicCookie: false,
  }),
  "Compas in development, over koa-session 6": compas(development, koaSessionOf("6"), notRenewed),
  "Compas in production, over koa-session 7": compas(production, koaSessionOf("7"), notRenewed),
};

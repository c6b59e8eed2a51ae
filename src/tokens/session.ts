import { inspect } from "node:util";
import { copyOf, type SessionData, setMember } from "../commit.js";
import { maximumLifetimeInSeconds } from "../options.js";

/**
 * `ctx.session`, with koa-session's surface. Any other member is session data: what JSON can hold,
 * except members that start with an underscore.
 */
export interface Session {
  // Applications read and write members by name without declaring them, as they did before.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  [member: string]: any;
  /** True until the session has been stored. */
  isNew: boolean;
  /** How many members there are. */
  readonly length: number;
  readonly populated: boolean;
  /**
   * Lifetime in milliseconds. Setting it gives this session a lifetime of its own: its refresh tokens
   * last so long from each refresh. Any other value goes back to the configured lifetime.
   */
  get maxAge(): number;
  set maxAge(milliseconds: number | string | null | undefined);
  /** The session's id, once it has one. */
  readonly externalKey: string | undefined;
  /** Stores the session now, changed or not. */
  save(callback?: (error?: unknown) => void): Promise<void>;
  /** Moves the data to a new session with new tokens and ends this one. */
  regenerate(callback?: (error?: unknown) => void): Promise<void>;
  /** Stores the session now if it changed. */
  manuallyCommit(): Promise<void>;
  toJSON(): SessionData;
}

/** What a session asks of the request it belongs to. */
export interface SessionOwner {
  readonly isNew: boolean;
  readonly externalKey: string | undefined;
  maxAgeInSeconds: number | null;
  readonly defaultMaxAgeInSeconds: number;
  /** Members that start with an underscore are data as well, as in most libraries but koa-session. */
  readonly keepsUnderscored: boolean;
  commit(options: { save?: boolean; regenerate?: boolean }): Promise<void>;
}

// Members that are accessors: data of these names cannot be shown on the session, and stays as stored.
const accessors = new Set(["isNew", "length", "populated", "maxAge", "externalKey"]);

class TokenSession {
  readonly #owner: SessionOwner;

  constructor(owner: SessionOwner, data: object, taken: (value: unknown) => unknown) {
    this.#owner = owner;
    for (const [name, value] of Object.entries(data)) {
      if (!accessors.has(name)) setMember(this, name, taken(value));
    }
  }

  get isNew(): boolean {
    return this.#owner.isNew;
  }

  // koa-session lets an application set it, to no effect on what is stored.
  set isNew(_value: boolean) {
    return;
  }

  get length(): number {
    return Object.keys(dataOf(this)).length;
  }

  get populated(): boolean {
    return this.length > 0;
  }

  get maxAge(): number {
    return (this.#owner.maxAgeInSeconds ?? this.#owner.defaultMaxAgeInSeconds) * 1000;
  }

  set maxAge(milliseconds: number | string | null | undefined) {
    const own = typeof milliseconds === "number" && milliseconds > 0;
    this.#owner.maxAgeInSeconds = own
      ? Math.min(Math.ceil(milliseconds / 1000), maximumLifetimeInSeconds)
      : null;
  }

  get externalKey(): string | undefined {
    return this.#owner.externalKey;
  }

  save(callback?: (error?: unknown) => void): Promise<void> {
    return settle(this.#owner.commit({ save: true }), callback);
  }

  regenerate(callback?: (error?: unknown) => void): Promise<void> {
    return settle(this.#owner.commit({ regenerate: true }), callback);
  }

  manuallyCommit(): Promise<void> {
    return settle(this.#owner.commit({}), undefined);
  }

  toJSON(): SessionData {
    const data: SessionData = {};
    for (const [name, value] of Object.entries(this)) {
      if (typeof value !== "function" && !isOwn(name, this.#owner)) setMember(data, name, value);
    }
    return data;
  }

  [inspect.custom](): SessionData {
    return dataOf(this);
  }
}

// In koa-session 5 `save` is no promise, so that there are handlers which do not wait for it. What fails is
// tried, and told, once more when the handler is done.
function settle(
  committed: Promise<void>,
  callback: ((error?: unknown) => void) | undefined,
): Promise<void> {
  committed.catch(() => undefined);
  if (callback === undefined) return committed;
  return committed.then(() => {
    callback();
  }, callback);
}

/** What a session shows of stored data. */
export function shownIn(data: SessionData, owner: SessionOwner): SessionData {
  const isHidden = (name: string) => accessors.has(name) || isOwn(name, owner);
  if (!Object.keys(data).some(isHidden)) return data;
  return Object.fromEntries(Object.entries(data).filter(([name]) => !isHidden(name)));
}

// As in koa-session, where a member of such a name is the library's own.
const isOwn = (name: string, { keepsUnderscored }: SessionOwner) =>
  name.startsWith("_") && !keepsUnderscored;

/** What is stored of a session, also when the application has a member of the name `toJSON`. */
export function dataOf(session: object): SessionData {
  return TokenSession.prototype.toJSON.call(session as TokenSession);
}

const held = Symbol("session");

interface Holder {
  [held]: { get(): unknown; set(value: unknown): void };
}

// The same functions for every request: with functions of its own each context would be of another shape,
// and every look at any of its members slow.
const sessionProperty = {
  get(this: Holder): unknown {
    return this[held].get();
  },
  set(this: Holder, value: unknown): void {
    this[held].set(value);
  },
  configurable: true,
  enumerable: true,
};

/** Puts `ctx.session` on one request, where it stands before any accessor on `app.context`. */
export function defineSession(ctx: object, session: Holder[typeof held]): void {
  (ctx as Holder)[held] = session;
  Object.defineProperty(ctx, "session", sessionProperty);
}

/** A session object over its owner, filled with `data`. */
export function createSession(owner: SessionOwner, data: object): Session {
  return new TokenSession(owner, data, (value) => value);
}

/** A session object over its owner that shows stored data: what is done to it does not reach `data`. */
export function showSession(owner: SessionOwner, data: SessionData): Session {
  return new TokenSession(owner, data, copyOf);
}

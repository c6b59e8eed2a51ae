import { randomUUID } from "node:crypto";
import type { Context, Middleware } from "koa";
import { type Changes, changesBetween, parseData, type SessionData } from "../../commit.js";
import {
  createSession,
  dataOf,
  defineSession,
  type Session,
  type SessionOwner,
  shownIn,
  showSession,
} from "../../tokens/session.js";
import { isObject } from "./cookie.js";
import type { BridgingStore, LegacySource } from "../source.js";
import type { Bookkeeping } from "../../store/links.js";

/** What is known of an old system that does not run on Koa: its sessions can be read, not made. */
export interface ReadOnlySystem extends Pick<
  LegacySource,
  "readKey" | "clear" | "split" | "join" | "ownMaxAgeInSeconds"
> {
  /** The stored session that the key names. */
  read(ctx: Context, key: string): unknown;
  write(key: string, value: unknown): unknown;
  destroy(key: string): unknown;
  /** Gives the session a lifetime of its own, or with null the configured one. */
  withMaxAge(bookkeeping: Bookkeeping, milliseconds: number | null): Bookkeeping;
  /** With its whole lifetime before it, for a session that is stored again; undefined when it nearly has. */
  renewed?(bookkeeping: Bookkeeping): Bookkeeping | undefined;
  /** After a request that changed nothing: keeps the session alive, as the old middleware did. */
  touch?(key: string, value: unknown, bridging: BridgingStore): void;
}

const sessions = new WeakMap<Context, CarriedSession>();

/** What the sources of such systems have in common. */
export function readOnlySource(system: ReadOnlySystem) {
  const { readKey, clear, split, join, ownMaxAgeInSeconds } = system;
  return {
    readKey,
    clear,
    split,
    join,
    ownMaxAgeInSeconds,
    isReadOnly: true,
    commit: async (ctx) => sessions.get(ctx)?.commit(),
    install: (_app, bridging) => readOnlyMiddleware(system, bridging),
    extendTokenPath(_ctx, session) {
      session.keepsUnderscored = true;
    },
  } satisfies Partial<LegacySource>;
}

/**
 * Stands in for an old middleware of another framework. It gives `ctx.session` and stores what changes,
 * but sets no cookie except to clear it: a new session is left to tokens.
 */
function readOnlyMiddleware(system: ReadOnlySystem, bridging: BridgingStore): Middleware {
  return async (ctx, next) => {
    const key = system.readKey(ctx, new Date())?.key;
    const value = key && (await bridging.get(key, () => system.read(ctx, key)));
    if (isObject(value)) bridging.accept();
    const session = new CarriedSession(system, bridging, ctx, { key, value });
    sessions.set(ctx, session);
    defineSession(ctx, session);
    try {
      await next();
    } catch (error) {
      await session.commit({ handlerFailed: true });
      throw error;
    }
    await session.commit();
    await session.leave();
  };
}

/** The session of one request. Undefined: not looked at; false: removed. */
class CarriedSession implements SessionOwner {
  readonly keepsUnderscored = true;
  readonly defaultMaxAgeInSeconds = 86_400;
  #key: string | undefined;
  readonly #found: unknown;
  #data: SessionData = {};
  #bookkeeping: Bookkeeping = {};
  #isProlonged = false;
  #isStored = false;
  /** The session that this one has moved from; it ends with the response that carries the new tokens. */
  #left: string | undefined;
  #session: Session | false | undefined;

  constructor(
    readonly system: ReadOnlySystem,
    readonly bridging: BridgingStore,
    readonly ctx: Context,
    found: { key: string | undefined; value: unknown },
  ) {
    if (!isObject(found.value)) return;
    const { data, bookkeeping } = system.split(found.value, ctx);
    this.#key = found.key;
    this.#found = found.value;
    this.#data = parseData(JSON.stringify(data));
    this.#bookkeeping = bookkeeping;
  }

  get isNew(): boolean {
    return this.#key === undefined;
  }

  get externalKey(): string | undefined {
    return this.#key;
  }

  get maxAgeInSeconds(): number | null {
    return this.system.ownMaxAgeInSeconds(this.#bookkeeping);
  }

  set maxAgeInSeconds(seconds: number | null) {
    const milliseconds = seconds === null ? null : seconds * 1000;
    this.#bookkeeping = this.system.withMaxAge(this.#bookkeeping, milliseconds);
    this.#isProlonged = true;
  }

  get(): Session | null {
    if (this.#session === false) return null;
    this.#session ??= showSession(this, this.#data);
    return this.#session;
  }

  set(value: unknown): void {
    if (value === null) this.#session = false;
    else if (isObject(value)) this.#session = createSession(this, value);
    else throw new TypeError("ctx.session can only be set to null or an object");
  }

  async commit({ save = false, regenerate = false, handlerFailed = false } = {}): Promise<void> {
    if (this.#session === false) return this.#remove();
    if (handlerFailed && this.#left !== undefined) return this.#stay();
    const changes =
      this.#session && changesBetween(shownIn(this.#data, this), dataOf(this.#session));
    const isWorthwhile = changes !== undefined || save || regenerate || this.#isProlonged;
    if (this.#session !== undefined && isWorthwhile) await this.#store(changes, regenerate);
    else if (this.#key !== undefined && !this.#isStored) {
      this.system.touch?.(this.#key, this.#found, this.bridging);
    }
  }

  /** The handler is done: what the session has moved from ends. */
  async leave(): Promise<void> {
    const left = this.#left;
    this.#left = undefined;
    if (left !== undefined) await this.#end(left);
  }

  // Nobody gets the tokens of the new session with an error; the cookie goes on.
  async #stay(): Promise<void> {
    const { bridging, system } = this;
    const key = this.#key;
    this.#key = this.#left;
    this.#left = undefined;
    if (key !== undefined) await bridging.destroy(key, () => system.destroy(key));
  }

  async #store(changes: Changes | undefined, isMoved: boolean): Promise<void> {
    const { system, bridging } = this;
    const key = (isMoved ? undefined : this.#key) ?? randomUUID();
    // Also members that no session object can show.
    const { set = {}, removed = [] } = changes ?? {};
    const kept = Object.entries(this.#data).filter(([name]) => !removed.includes(name));
    // As it is now: the handler may change it while it is being stored.
    const data = parseData(JSON.stringify(Object.fromEntries([...kept, ...Object.entries(set)])));
    if (!this.#isProlonged) {
      this.#bookkeeping = system.renewed?.(this.#bookkeeping) ?? this.#bookkeeping;
    }
    await bridging.set(
      key,
      system.join({ data, bookkeeping: this.#bookkeeping }),
      (_, value) => system.write(key, value),
      () => system.destroy(key),
    );
    this.#data = data;
    this.#isProlonged = false;
    this.#isStored = true;
    if (isMoved) this.#left ??= this.#key;
    this.#key = key;
  }

  async #remove(): Promise<void> {
    const key = this.#key;
    this.#key = undefined;
    this.#data = {};
    this.#bookkeeping = {};
    if (key !== undefined) await this.#end(key);
    await this.leave();
  }

  async #end(key: string): Promise<void> {
    await this.bridging.destroy(key, () => this.system.destroy(key));
    if (!this.ctx.headerSent) this.system.clear(this.ctx);
  }
}

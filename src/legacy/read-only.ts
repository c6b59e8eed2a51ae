import { randomUUID } from "node:crypto";
import type { Context, Middleware } from "koa";
import { parseData, type SessionData } from "../commit.js";
import { createSession, type Session, type SessionOwner } from "../tokens/session.js";
import { isUnreadable } from "../transport.js";
import { isObject } from "./cookie.js";
import type { BridgingStore, LegacySource } from "./source.js";
import type { Bookkeeping } from "../store/links.js";

/** What is known of an old system that does not run on Koa: its sessions can be read, not made. */
export interface ReadOnlySystem extends Pick<LegacySource, "readKey" | "clear" | "split" | "join"> {
  /** The stored session that the key names. */
  read(ctx: Context, key: string): unknown;
  write(key: string, value: unknown): unknown;
  destroy(key: string): unknown;
  /** After a request that changed nothing: keeps the session alive, as the old middleware did. */
  touch?(key: string, value: unknown, bridging: BridgingStore): void;
}

const sessions = new WeakMap<Context, CarriedSession>();

/**
 * Stands in for an old middleware of another framework. It gives `ctx.session` and stores what changes,
 * but sets no cookie except to clear it: a new session is left to tokens.
 */
export function readOnlyMiddleware(system: ReadOnlySystem, bridging: BridgingStore): Middleware {
  return async (ctx, next) => {
    const key = system.readKey(ctx, new Date())?.key;
    const value = key && (await bridging.get(key, () => system.read(ctx, key)));
    if (isObject(value)) bridging.accept();
    const session = new CarriedSession(system, bridging, ctx, { key, value });
    sessions.set(ctx, session);
    Object.defineProperty(ctx, "session", {
      get: () => session.get(),
      set: (value: unknown) => {
        session.set(value);
      },
      configurable: true,
      enumerable: true,
    });
    try {
      await next();
    } finally {
      await session.commit();
    }
  };
}

/** Has the middleware store the session of its request now. */
export const commitCarried = async (ctx: Context): Promise<void> => sessions.get(ctx)?.commit();

/** The session of one request. Undefined: not looked at; false: removed. */
class CarriedSession implements SessionOwner {
  readonly keepsUnderscored = true;
  readonly defaultMaxAgeInSeconds = 86_400;
  maxAgeInSeconds: number | null = null;
  #key: string | undefined;
  readonly #stored: unknown;
  #base: SessionData = {};
  #bookkeeping: Bookkeeping = {};
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
    this.#stored = found.value;
    this.#base = parseData(JSON.stringify(data));
    this.#bookkeeping = bookkeeping;
  }

  get isNew(): boolean {
    return this.#key === undefined;
  }

  get externalKey(): string | undefined {
    return this.#key;
  }

  get(): Session | null {
    if (this.#session === false) return null;
    this.#session ??= createSession(this, parseData(JSON.stringify(this.#base)));
    return this.#session;
  }

  set(value: unknown): void {
    if (value === null) this.#session = false;
    else if (isObject(value)) this.#session = createSession(this, value);
    else throw new TypeError("ctx.session can only be set to null or an object");
  }

  async commit({ save = false, regenerate = false } = {}): Promise<void> {
    if (this.#session === false) return this.#remove();
    const data = this.#session?.toJSON();
    const isChanged = data !== undefined && JSON.stringify(data) !== JSON.stringify(this.#base);
    // Nobody could receive the tokens of a session that moves while a page is loaded.
    const moves = regenerate && !isUnreadable(this.ctx);
    if (data !== undefined && (isChanged || save || moves)) await this.#store(data, moves);
    else if (this.#key !== undefined) this.system.touch?.(this.#key, this.#stored, this.bridging);
  }

  async #store(data: SessionData, moves: boolean): Promise<void> {
    const { system, bridging } = this;
    if (moves) await this.#end();
    const key = (this.#key ??= randomUUID());
    await bridging.set(
      key,
      system.join({ data, bookkeeping: this.#bookkeeping }),
      (_, value) => system.write(key, value),
      () => system.destroy(key),
    );
    this.#base = parseData(JSON.stringify(data));
  }

  async #remove(): Promise<void> {
    await this.#end();
    this.#base = {};
    this.#bookkeeping = {};
  }

  async #end(): Promise<void> {
    const key = this.#key;
    if (key === undefined) return;
    this.#key = undefined;
    await this.bridging.destroy(key, () => this.system.destroy(key));
    this.system.clear(this.ctx);
  }
}

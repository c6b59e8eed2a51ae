import type { Context } from "koa";
import { changesBetween, type SessionData } from "../commit.js";
import type { Mode } from "../mode.js";
import type { Bookkeeping } from "../store/links.js";
import { revokeSession } from "../store/revoke-session.js";
import { commitChanges } from "../store/update-session.js";
import { isUnreadable } from "../transport.js";
import type { TokenPair } from "../tokens/jwt.js";
import type { LegacyEnvironment } from "./environment.js";
import type { OldValue } from "./commit-through.js";
import { LegacySession } from "./legacy-session.js";
import type { LegacyKey, LegacySource } from "./source.js";

/** One request on the legacy path: the legacy sessions that it touches. */
export class LegacyRequest {
  readonly ctx: Context;
  readonly mode: Mode;
  readonly source: LegacySource;
  /** The session of the presented and verified cookie. */
  credential: LegacySession | undefined;
  /** The same, once the old middleware has asked for it. */
  presented: LegacySession | undefined;
  /** The session that the old middleware read last; a few read another one as well. */
  lastRead: LegacySession | undefined;
  /** The old middleware took the presented session as valid. */
  isOpened = false;
  /** The old middleware has removed the presented session. */
  hasRemoved = false;
  /** The session that the request has now. */
  current: LegacySession | undefined;
  /** The new session of this request gets tokens, and no cookie. */
  isDiverted = false;
  /** A session that got tokens instead of a cookie. */
  diverted:
    { readonly key: string; readonly pair: TokenPair; readonly data: SessionData } | undefined;
  /** The handler has taken the pair, to hand it out by itself. */
  isIssued = false;
  readonly startedAt: Date;
  readonly #env: LegacyEnvironment;
  readonly #sessions = new Map<string, LegacySession>();
  readonly #deferred: (() => Promise<void>)[] = [];

  constructor(env: LegacyEnvironment, ctx: Context, mode: Mode, source: LegacySource) {
    this.#env = env;
    this.startedAt = env.store.db.now();
    this.ctx = ctx;
    this.mode = mode;
    this.source = source;
  }

  /** The session of a presented key, looked up once. */
  async sessionOf(legacyKey: LegacyKey): Promise<LegacySession> {
    const known = this.#sessions.get(legacyKey.key);
    if (known !== undefined) return known;
    const session = this.newSession(legacyKey);
    await session.find();
    return session;
  }

  knownSessionOf(key: string): LegacySession | undefined {
    return this.#sessions.get(key);
  }

  /** A session under a key that was made in this request: nothing is linked to it yet. */
  newSession(legacyKey: LegacyKey): LegacySession {
    const session = new LegacySession(this.#env, this, legacyKey);
    this.#sessions.set(legacyKey.key, session);
    return session;
  }

  /** The old middleware stores a session. */
  async commit(key: string, value: unknown, old: OldValue): Promise<void> {
    const session = this.#sessions.get(key) ?? this.newSession({ key });
    const isDrained = this.mode === "drain" && !this.isOpened && this.presented !== session;
    if (isDrained || (this.source.isReadOnly === true && this.credential !== session)) {
      await this.#divert(key, value);
      return;
    }
    const kept = this.#keptBookkeeping(session);
    const data = kept && this.source.split(value, this.ctx).data;
    await session.commit(data ? this.source.join({ data, bookkeeping: kept }) : value, old, kept);
    if (!session.hasEnded) this.current = session;
  }

  // While draining, a regenerated session lives no longer than the one it comes from.
  #keptBookkeeping(session: LegacySession): Bookkeeping | undefined {
    const { mode, presented } = this;
    return mode === "drain" && presented !== session ? presented?.bookkeeping : undefined;
  }

  // A new session gets tokens and no cookie; on a page load nobody could receive them.
  async #divert(key: string, value: unknown): Promise<void> {
    this.isDiverted = true;
    if (isUnreadable(this.ctx) && !this.isIssued) return;
    const { store } = this.#env;
    const { data, bookkeeping } = this.source.split(value, this.ctx);
    if (this.diverted === undefined) {
      const own = this.source.ownMaxAgeInSeconds(bookkeeping);
      this.diverted = { key, data, pair: (await store.create(data, own)).pair };
      return;
    }
    const { pair, data: base } = this.diverted;
    const changes = changesBetween(base, data);
    if (changes !== undefined) await commitChanges(store.db, pair.sessionId, changes);
    this.diverted = { key, pair, data };
  }

  /** Tells the operator of a failure that costs nobody the response. */
  tell(error: Error): void {
    this.#env.events.emit("error", error);
  }

  /** The handler has removed the session that got tokens: the one of this key, if one is given. */
  async endDiverted(key?: string): Promise<void> {
    const { diverted } = this;
    if (diverted === undefined || (key !== undefined && key !== diverted.key)) return;
    this.diverted = undefined;
    await revokeSession(this.#env.store.db, diverted.pair.sessionId);
  }

  /** The handler has ended the presented session, and put no other in its place. */
  get isLoggedOut(): boolean {
    const hasOther = this.current?.hasEnded === false || this.isDiverted;
    return this.isOpened && this.hasRemoved && !hasOther;
  }

  /** A key for a new session in a data cookie. */
  newKey(): string {
    return this.source.newKey?.(this.#env.store.db.now()) ?? this.#env.store.db.generateId();
  }

  /** The live session of a data cookie, also when the handler replaced it without a look at it. */
  currentInCookie(): LegacySession | undefined {
    const { current, credential } = this;
    if (current !== undefined) return current.hasEnded ? undefined : current;
    if (credential === undefined || this.presented !== undefined || !credential.isOpen) {
      return undefined;
    }
    credential.assume();
    this.presented = credential;
    this.isOpened = true;
    return credential;
  }

  /** Work of a middleware that does not wait for its store; the response waits for it. */
  defer(work: () => Promise<void>): void {
    this.#deferred.push(work);
  }

  async settle(): Promise<void> {
    let failure: { error: unknown } | undefined;
    for (let work = this.#deferred.shift(); work !== undefined; work = this.#deferred.shift()) {
      try {
        await work();
      } catch (error) {
        failure ??= { error };
      }
    }
    if (failure !== undefined) throw failure.error;
  }
}

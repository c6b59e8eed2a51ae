import { isDeepStrictEqual } from "node:util";
import type { Context } from "koa";
import { type Changes, changesBetween, parseData, type SessionData } from "../commit.js";
import { BridgeError } from "../errors.js";
import type { Mode } from "../mode.js";
import { type Bookkeeping, type LiveLink, saveBookkeeping } from "../store/links.js";
import { revokeSession } from "../store/revoke-session.js";
import { commitChanges } from "../store/update-session.js";
import type { TokenPair } from "../tokens/jwt.js";
import { commitThrough, type OldValue, rowOf, versionSeen } from "./commit-through.js";
import { findLink, type LinkState, noteEnd } from "./link-state.js";
import type { LegacyEnvironment } from "./environment.js";
import { inMemberOrder, type MemberOrder, memberOrderOf } from "./member-order.js";
import { hashLegacyKey } from "./sealed-key.js";
import type { LegacyKey, LegacySource, LegacyValue } from "./source.js";
import { type LegacyIdentity, pairOnOffer, upgradeLegacySession } from "./upgrade.js";

/** One legacy key during one request: what it is linked to, what was read, what is to be offered. */
export class LegacySession {
  readonly #env: LegacyEnvironment;
  readonly #ctx: Context;
  readonly #source: LegacySource;
  readonly #mode: Mode;
  readonly #hash: Buffer;
  #state: LinkState = "unlinked";
  #oldRow: { readonly value: unknown } | undefined;
  #base: SessionData = {};
  #bookkeeping: Bookkeeping = {};
  /** The old middleware found the session and took it, or made it in this request. */
  accepted = false;
  /** The presented key was not in the old store: whoever chose it, we did not. */
  missed = false;
  readonly #legacyKey: LegacyKey;

  constructor(
    env: LegacyEnvironment,
    request: { ctx: Context; source: LegacySource; mode: Mode },
    legacyKey: LegacyKey,
  ) {
    const { ctx, source, mode } = request;
    this.#ctx = ctx;
    this.#env = env;
    this.#source = source;
    this.#mode = mode;
    this.#legacyKey = legacyKey;
    this.#hash = hashLegacyKey(source.name, legacyKey.key);
  }

  get key(): string {
    return this.#legacyKey.key;
  }

  /** The presented cookie has no key yet; this one was made for it. */
  get isMinted(): boolean {
    return this.#legacyKey.isMinted === true;
  }

  get #link(): LiveLink | undefined {
    return typeof this.#state === "object" ? this.#state : undefined;
  }

  /** The id of the token session, while there is one. */
  get sessionId(): string | undefined {
    return this.#link?.sessionId;
  }

  get hasEnded(): boolean {
    return this.#state === "ended";
  }

  get isAdopted(): boolean {
    return this.#link !== undefined && this.#link.adoptedAt !== null;
  }

  /** Its client uses tokens, and has for longer than the cookie may linger. */
  get isRetired(): boolean {
    const adoptedAt = this.#link?.adoptedAt?.getTime();
    if (adoptedAt === undefined) return false;
    const lingersUntil = adoptedAt + this.#env.cookieLingerInSeconds * 1000;
    return lingersUntil <= this.#env.store.db.now().getTime();
  }

  /** The cookie session's time is over, and nobody but the bridge would notice. */
  get #isOver(): boolean {
    if (this.#link === undefined || this.#source.isExpiredByStore !== true) return false;
    const expiresAt = this.#source.expiresAt(this.#link.bookkeeping);
    return expiresAt !== null && expiresAt.getTime() <= Date.now();
  }

  /** Whether this mode and source let the session become a token session, now or soon. */
  get isUpgradable(): boolean {
    const upgrades = this.#mode === "bridge" || this.#mode === "drain";
    return upgrades && !this.missed && (this.#source.isTrusted || this.#env.allowUnsigned);
  }

  // A changed session that no cookie and no old store can hold.
  get #isUnwritable(): boolean {
    return this.#source.isReadOnly === true && this.#source.oldStore === undefined;
  }

  /** It can be upgraded a little later. */
  get isUnsettled(): boolean {
    return this.#state === "unlinked" && this.isUpgradable && !this.#isSettled;
  }

  // Until then the browser may yet keep another key that was made for the same cookie.
  get #isSettled(): boolean {
    const { settledAt } = this.#legacyKey;
    return !this.isMinted && (settledAt === undefined || settledAt <= this.#env.store.db.now());
  }

  /** What the old middleware keeps beside the data, as it was read. */
  get bookkeeping(): Bookkeeping {
    return this.#bookkeeping;
  }

  /** Looks up the link. One statement. */
  async find(): Promise<void> {
    const { state, oldRow } = await findLink(this.#env, this.#mode, this.#identity);
    this.#state = state;
    this.#oldRow = oldRow;
  }

  /** What the look-up has read of the old store, if it did; once, for it grows old. */
  takeOldRow(): { readonly value: unknown } | undefined {
    const oldRow = this.#oldRow;
    this.#oldRow = undefined;
    return oldRow;
  }

  /**
   * Whether the old store has to be read. In `observe` it is asked even for a linked session: it may
   * have ended there while the token store was away.
   */
  get needsOldValue(): boolean {
    if (this.#link !== undefined) return this.#mode === "observe" && this.#env.writeThrough;
    return this.#state !== "ended";
  }

  /** What the old middleware gets to read, given what the old store (or the cookie) holds. */
  present(oldValue: unknown): unknown {
    if (this.hasEnded || this.isRetired || this.#isOver) return undefined;
    if (this.#link !== undefined) {
      if (this.needsOldValue && !exists(oldValue)) return undefined;
      const { bookkeeping } = this.#link;
      // A data cookie has its own, which says when that very cookie expires.
      const isInCookie = this.#source.oldStore === undefined;
      const own = isInCookie ? this.#split(oldValue).bookkeeping : bookkeeping;
      const value = { data: linkedData(this.#link), bookkeeping: own };
      this.#remember(value);
      return this.#source.join(value);
    }
    this.missed = !exists(oldValue);
    if (!this.missed) this.#remember(this.#split(oldValue));
    return oldValue;
  }

  // Somebody else linked it: what that session holds now was never seen by this request.
  async #findAnew(): Promise<void> {
    await this.find();
    if (this.#link !== undefined) this.#state = { ...this.#link, checksum: "" };
  }

  /** As far as can be told without the old middleware. */
  get isOpen(): boolean {
    const { expiresAt } = this.#legacyKey;
    const isExpired = expiresAt !== undefined && expiresAt.getTime() < Date.now();
    return !this.hasEnded && !this.isRetired && !isExpired;
  }

  /** The handler replaces the session without having read it. */
  assume(): void {
    this.accepted = true;
    if (this.#link === undefined) return;
    this.#remember({ data: linkedData(this.#link), bookkeeping: this.#link.bookkeeping });
  }

  // A copy: the old middleware hands the same objects to the application, which changes them.
  #remember(value: LegacyValue): void {
    const { data, bookkeeping } = JSON.parse(JSON.stringify(value)) as LegacyValue;
    this.#base = data;
    this.#bookkeeping = bookkeeping;
  }

  // The bookkeeping as it is stored: as JSON.
  #split(value: unknown): LegacyValue {
    const { data, bookkeeping } = this.#source.split(value, this.#ctx);
    return { data, bookkeeping: JSON.parse(JSON.stringify(bookkeeping)) as Bookkeeping };
  }

  /** The old middleware stores the session; `old` is its row in the old store. */
  async commit(value: unknown, old: OldValue): Promise<void> {
    const next = this.#split(value);
    if (this.#state === "ended") return;
    if (this.#state === "unknown" && this.#isUnwritable) throw new BridgeError("store-unavailable");
    if (this.#link !== undefined) return this.#commitLinked(this.#link, next, old);
    // First, so that a logout which races the upgrade destroys it last.
    await old.write(value);
    this.accepted = true;
    if (this.#state === "unlinked") {
      if (this.#isUnwritable) await this.#upgradeNow(next);
      else if (this.isUpgradable && this.#isSettled) await this.#tryUpgrade(next);
      // Another process, already in another mode, may have upgraded it since it was read.
      else if (this.#mode === "observe" && !this.isMinted) await this.#findAnew();
    }
    if (this.hasEnded) await old.destroy();
    else if (this.#link === undefined) this.#remember(next);
    else await this.#commitLinked(this.#link, next, old);
  }

  async #commitLinked(link: LiveLink, next: LegacyValue, old: OldValue): Promise<void> {
    const { db } = this.#env.store;
    // A draining cookie is never renewed, so its bookkeeping stays as well.
    const bookkeeping = this.#mode === "drain" ? this.#bookkeeping : next.bookkeeping;
    const changes = this.#changes({ data: next.data, bookkeeping });
    if (changes === undefined && isDeepStrictEqual(bookkeeping, this.#bookkeeping)) return;
    const memberOrder = memberOrderOf(next.data);
    const expiresAt = this.#source.expiresAt(bookkeeping);
    const kept = { key: this.#hash, bookkeeping, memberOrder, expiresAt };
    // As the old middleware goes on to see it: not what was merged, or it would be taken for removed.
    const { data } = next;
    try {
      const committed = await commitThrough(
        db,
        { id: link.sessionId, checksum: link.checksum, data },
        this.#env.writeThrough
          ? rowOf(old, (data) => this.#source.join({ data, bookkeeping }), this.#env.events)
          : undefined,
        () =>
          changes === undefined
            ? saveBookkeeping(db, kept)
            : commitChanges(db, link.sessionId, changes, kept),
      );
      if (committed === undefined) {
        this.#state = "ended";
        return;
      }
      const checksum = versionSeen(link.checksum, committed);
      this.#state = { ...link, bookkeeping, memberOrder, data: JSON.stringify(data), checksum };
    } catch (error) {
      if (this.#mode !== "observe" || !isOutage(error)) throw error;
      this.#env.events.emit("error", error as Error);
    }
    this.#remember({ data, bookkeeping });
  }

  #changes({ data, bookkeeping }: LegacyValue): Changes | undefined {
    const changes = changesBetween(this.#base, data);
    const maxAgeInSeconds = this.#source.ownMaxAgeInSeconds(bookkeeping);
    const before = this.#source.ownMaxAgeInSeconds(this.#bookkeeping);
    if (maxAgeInSeconds === before) return changes;
    return { set: {}, removed: [], ...changes, maxAgeInSeconds };
  }

  /**
   * Upgrades what was read and not stored in this request; `evenIfUnsettled` because the application
   * asks for it, of one request.
   */
  async upgrade({ evenIfUnsettled = false } = {}): Promise<void> {
    if (this.#state !== "unlinked" || !this.isUpgradable || !this.accepted) return;
    if (!this.#isSettled && !evenIfUnsettled) return;
    if (await this.#readAgain()) {
      await this.#tryUpgrade({ data: this.#base, bookkeeping: this.#bookkeeping });
    }
  }

  // While the handler ran, a process in `observe`, or without the bridge, may have stored or ended it.
  async #readAgain(): Promise<boolean> {
    const { oldStore } = this.#source;
    if (oldStore === undefined) return true;
    try {
      const value = await oldStore.get(this.key, this.#ctx);
      if (exists(value)) this.#remember(this.#split(value));
      return exists(value);
    } catch (cause) {
      this.#env.events.emit("error", new BridgeError("legacy-store-unavailable", { cause }));
      return false;
    }
  }

  /**
   * Afterwards the state says who was faster: this call, another request, or a logout. A failure leaves
   * the session as it is, in the old store, for the next request to upgrade.
   */
  async #tryUpgrade(value: LegacyValue): Promise<void> {
    try {
      await this.#upgradeNow(value);
    } catch (error) {
      this.#env.events.emit("error", error as Error);
    }
  }

  async #upgradeNow(value: LegacyValue): Promise<void> {
    const link = await upgradeLegacySession(this.#env, this.#identity, value);
    if (link === undefined) {
      await this.#findAnew();
      return;
    }
    this.#state = link;
    this.#remember(value);
    const { sessionId } = link;
    this.#env.events.emit("upgraded", { source: this.#source.name, sessionId });
  }

  get #identity(): LegacyIdentity {
    return { source: this.#source, legacyKey: this.#legacyKey, hash: this.#hash };
  }

  /** Ends the session for cookie and tokens alike. */
  async end(): Promise<void> {
    const { db } = this.#env.store;
    if (this.#state === "unlinked" && !this.missed) {
      const isNoted = await noteEnd(this.#env, this.#mode, this.#identity, this.#bookkeeping);
      if (!isNoted) await this.find();
    }
    if (this.#link !== undefined) await revokeSession(db, this.#link.sessionId);
    this.#state = "ended";
    this.accepted = false;
  }

  /** The pair on offer to the client of this cookie; undefined once it has been adopted. */
  async offer(): Promise<TokenPair | undefined> {
    const link = this.#link;
    const pair = link && (await pairOnOffer(this.#env, this.#identity, link));
    return pair && this.#env.store.codec.signPair(link.sessionId, pair);
  }

  /** A further pair for a session whose tokens are in use already. */
  async issueFurther(): Promise<TokenPair | undefined> {
    const id = this.sessionId;
    if (id === undefined) return undefined;
    const maxAgeInSeconds = this.#source.ownMaxAgeInSeconds(this.#bookkeeping);
    return this.#env.store.issue({ id, data: JSON.stringify(this.#base), maxAgeInSeconds });
  }
}

const linkedData = ({ data, memberOrder }: LiveLink) =>
  inMemberOrder(parseData(data), memberOrder as MemberOrder);

const exists = (value: unknown) => value !== undefined && value !== null && value !== false;

const isOutage = (error: unknown) => error instanceof BridgeError && error.status === 503;

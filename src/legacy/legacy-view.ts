import type { Context } from "koa";
import type { SessionData } from "../commit.js";
import type { Mode } from "../mode.js";
import type { Bookkeeping, LiveLink } from "../store/links.js";
import type { LegacyEnvironment } from "./environment.js";
import {
  findLink,
  isOver,
  isRetired,
  linkedData,
  type LinkState,
  type OldRow,
} from "./link-state.js";
import { reachOld } from "./reach-old.js";
import { hashLegacyKey } from "./sealed-key.js";
import type { LegacyKey, LegacySource, LegacyValue } from "./source.js";
import type { LegacyIdentity } from "./upgrade.js";

/** One legacy key during one request: what it is linked to, and what was read. */
export class LegacyView {
  protected readonly env: LegacyEnvironment;
  protected readonly ctx: Context;
  protected readonly source: LegacySource;
  protected readonly mode: Mode;
  readonly #hash: Buffer;
  protected state: LinkState = "unlinked";
  #oldRow: OldRow | undefined;
  /** The row of the old store that {@link base} is of, as the look-up has read it, if it did. */
  protected rowRead: string | undefined;
  // Made when somebody asks: a request that changes nothing does not.
  #seen: LegacyValue | (() => LegacyValue) = { data: {}, bookkeeping: {} };
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
    this.ctx = ctx;
    this.env = env;
    this.source = source;
    this.mode = mode;
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

  protected get link(): LiveLink | undefined {
    return typeof this.state === "object" ? this.state : undefined;
  }

  /** The id of the token session, while there is one. */
  get sessionId(): string | undefined {
    return this.link?.sessionId;
  }

  /** The data as it was read. */
  protected get base(): SessionData {
    return this.#asSeen().data;
  }

  /** What the old middleware keeps beside the data, as it was read. */
  get bookkeeping(): Bookkeeping {
    return this.#asSeen().bookkeeping;
  }

  #asSeen(): LegacyValue {
    return typeof this.#seen === "function" ? (this.#seen = this.#seen()) : this.#seen;
  }

  get hasEnded(): boolean {
    return this.state === "ended";
  }

  get isAdopted(): boolean {
    return this.link !== undefined && this.link.adoptedAt !== null;
  }

  /** Its client uses tokens, and has for longer than the cookie may linger. */
  get isRetired(): boolean {
    return this.link !== undefined && isRetired(this.env, this.link);
  }

  /** Whether this mode and source let the session become a token session, now or soon. */
  get isUpgradable(): boolean {
    const upgrades = this.mode === "bridge" || this.mode === "drain";
    return upgrades && !this.missed && (this.source.isTrusted || this.env.allowUnsigned);
  }

  protected get hasOldStore(): boolean {
    return this.source.oldStore !== undefined;
  }

  /** It can be upgraded a little later. */
  get isUnsettled(): boolean {
    return this.state === "unlinked" && this.isUpgradable && !this.isSettled;
  }

  // Until then the browser may yet keep another key that was made for the same cookie.
  protected get isSettled(): boolean {
    const { settledAt } = this.#legacyKey;
    return !this.isMinted && (settledAt === undefined || settledAt <= this.env.store.db.now());
  }

  /** Looks up the link. One statement. */
  async find(): Promise<void> {
    const { state, oldRow } = await findLink(this.env, this.mode, this.identity);
    this.state = state;
    this.#oldRow = oldRow;
  }

  /** What the look-up has read of the old store, if it did; once, for it grows old. */
  takeOldRow(): OldRow | undefined {
    const oldRow = this.#oldRow;
    this.#oldRow = undefined;
    return oldRow;
  }

  /**
   * Whether the old store has to be read. In `observe` it is asked even for a linked session: it may
   * have ended there while the token store was away. And where it alone knows when a session ends.
   */
  get needsOldValue(): boolean {
    if (this.link === undefined) return this.state !== "ended";
    const isMeasured = this.source.expiresAt(this.link.bookkeeping) !== null;
    return this.env.writeThrough && (this.mode === "observe" || (!isMeasured && this.hasOldStore));
  }

  /** What the old middleware gets to read, given what the old store (or the cookie) holds. */
  present(oldValue: unknown, json?: string): unknown {
    if (this.hasEnded || this.isRetired) return undefined;
    const { link } = this;
    if (link !== undefined) {
      if (isOver(this.source, link)) return undefined;
      if (this.needsOldValue && !exists(oldValue)) return undefined;
      // A data cookie that is written has its own, which says when that very cookie expires.
      const hasOwn = !this.hasOldStore && this.source.isReadOnly !== true;
      const bookkeeping = hasOwn ? this.split(oldValue).bookkeeping : link.bookkeeping;
      this.#seen = () => ({ data: linkedData(link), bookkeeping });
      return this.source.join({ data: linkedData(link), bookkeeping: copyOf(bookkeeping) });
    }
    this.missed = !exists(oldValue);
    if (!this.missed) this.remember(this.split(oldValue));
    this.rowRead = json;
    return oldValue;
  }

  /** As far as can be told without the old middleware. */
  get isOpen(): boolean {
    const { expiresAt } = this.#legacyKey;
    const isExpired = expiresAt !== undefined && expiresAt.getTime() < Date.now();
    return !this.hasEnded && !this.isRetired && !isExpired;
  }

  /** Whether there is a session behind the key. One read of the old store, where only that can tell. */
  async isThere(): Promise<boolean> {
    const { oldStore } = this.source;
    if (!this.isOpen) return false;
    if (this.link !== undefined && isOver(this.source, this.link)) return false;
    if (oldStore === undefined || !this.needsOldValue) return true;
    this.#oldRow ??= { value: await reachOld(() => oldStore.get(this.key, this.ctx)) };
    const { value } = this.#oldRow;
    if (!exists(value) || this.source.isExpiredByStore === true) return exists(value);
    const expiresAt = this.source.expiresAt(this.split(value).bookkeeping);
    return expiresAt === null || expiresAt.getTime() > Date.now();
  }

  /** When the cookie session ends, as far as what has been read tells. */
  get endsAt(): Date | null {
    const old = this.#oldRow?.value;
    const bookkeeping = this.link?.bookkeeping ?? (exists(old) ? this.split(old).bookkeeping : {});
    return this.#legacyKey.expiresAt ?? this.source.expiresAt(bookkeeping);
  }

  /** The handler replaces the session without having read it. */
  assume(): void {
    this.accepted = true;
    if (this.link === undefined) return;
    const { link } = this;
    this.#seen = () => ({ data: linkedData(link), bookkeeping: link.bookkeeping });
  }

  // A copy: the old middleware hands the same objects to the application, which changes them.
  protected remember(value: LegacyValue): void {
    this.#seen = copyOf(value);
    this.rowRead = undefined;
  }

  // As it is now: the application may change it while it is being stored.
  protected copied(value: unknown): LegacyValue {
    return copyOf(this.source.split(value, this.ctx));
  }

  // The bookkeeping as it is stored: as JSON.
  protected split(value: unknown): LegacyValue {
    const { data, bookkeeping } = this.source.split(value, this.ctx);
    return { data, bookkeeping: copyOf(bookkeeping) };
  }

  protected get identity(): LegacyIdentity {
    return { source: this.source, legacyKey: this.#legacyKey, hash: this.#hash };
  }
}

const copyOf = <Value>(value: Value) => JSON.parse(JSON.stringify(value)) as Value;

export const exists = (value: unknown) => value !== undefined && value !== null && value !== false;

import { isDeepStrictEqual } from "node:util";
import { changesBetween, parseData, type SessionData } from "../commit.js";
import { BridgeError } from "../errors.js";
import type { BridgeEvents, Events } from "../events.js";
import type { Mode } from "../mode.js";
import {
  type Bookkeeping,
  endLegacyKey,
  type Link,
  type LiveLink,
  renewOffer,
  saveBookkeeping,
  upgradeSession,
} from "../store/links.js";
import { revokeSession } from "../store/revoke-session.js";
import type { PairRecord } from "../store/token-pair.js";
import { commitChanges } from "../store/update-session.js";
import type { TokenPair } from "../tokens/jwt.js";
import type { RingKey } from "../tokens/keys.js";
import type { TokenStore } from "../tokens/token-store.js";
import { hashLegacyKey, sealLegacyKey } from "./sealed-key.js";
import type { LegacySource, LegacyValue } from "./source.js";

/** What all legacy sessions of a bridge share. */
export interface LegacyEnvironment {
  readonly store: TokenStore;
  readonly keys: readonly RingKey[];
  readonly events: Events<BridgeEvents>;
  readonly readLink: (key: string) => Promise<Link | undefined>;
  readonly cookieLingerInSeconds: number;
  readonly writeThrough: boolean;
  readonly allowUnsigned: boolean;
}

type State =
  | { readonly is: "unlinked" }
  /** The token store does not answer and the mode is `observe`: the old store goes on alone. */
  | { readonly is: "unknown" }
  | { readonly is: "ended" }
  | ({ readonly is: "live" } & Pick<LiveLink, "sessionId" | "offer" | "adoptedAt">);

// An offered access token that lives less than this, or half its life, is renewed before it is offered
// again.
const freshForInSeconds = 60;
// How long a request may still be under way that read an unlinked session before it ended.
const tombstoneInSeconds = 24 * 60 * 60;

/** One legacy key during one request: what it is linked to, what was read, what is to be offered. */
export class LegacySession {
  readonly #env: LegacyEnvironment;
  readonly #source: LegacySource;
  readonly #mode: Mode;
  readonly #hash: Buffer;
  #state: State = { is: "unlinked" };
  #linked: LiveLink | undefined;
  #base: SessionData = {};
  #bookkeeping: Bookkeeping = {};
  /** The old middleware found the session and took it, or made it in this request. */
  accepted = false;
  /** The presented key was not in the old store: whoever chose it, we did not. */
  missed = false;
  readonly key: string;

  constructor(env: LegacyEnvironment, source: LegacySource, mode: Mode, key: string) {
    this.#env = env;
    this.#source = source;
    this.#mode = mode;
    this.key = key;
    this.#hash = hashLegacyKey(source.name, key);
  }

  get isLinked(): boolean {
    return this.#state.is === "live";
  }

  get hasEnded(): boolean {
    return this.#state.is === "ended";
  }

  /** Its client uses tokens, and has for longer than the cookie may linger. */
  get isRetired(): boolean {
    if (this.#state.is !== "live" || this.#state.adoptedAt === null) return false;
    const lingersUntil = this.#state.adoptedAt.getTime() + this.#env.cookieLingerInSeconds * 1000;
    return lingersUntil <= this.#env.store.db.now().getTime();
  }

  get isAdopted(): boolean {
    return this.#state.is === "live" && this.#state.adoptedAt !== null;
  }

  /** Whether this mode and source let the session become a token session. */
  get isUpgradable(): boolean {
    const upgrades = this.#mode === "bridge" || this.#mode === "drain";
    return upgrades && !this.missed && (this.#source.isTrusted || this.#env.allowUnsigned);
  }

  /** Looks up the link. One statement. */
  async find(): Promise<void> {
    try {
      const link = await this.#env.readLink(this.#hash.toString("base64url"));
      if (link === undefined) this.#state = { is: "unlinked" };
      else if (link.state === "ended") this.#state = { is: "ended" };
      else this.#link(link);
    } catch (error) {
      if (this.#mode !== "observe") throw error;
      this.#env.events.emit("error", error as Error);
      this.#state = { is: "unknown" };
    }
  }

  /**
   * Whether the old store has to be read. In `observe` it is asked even for a linked session: it may
   * have ended there while the token store was away.
   */
  get needsOldValue(): boolean {
    if (this.#state.is === "live") return this.#mode === "observe" && this.#env.writeThrough;
    return this.#state.is !== "ended";
  }

  /** What the old middleware gets to read, given what the old store (or the cookie) holds. */
  present(oldValue: unknown): unknown {
    const exists = oldValue !== undefined && oldValue !== null && oldValue !== false;
    if (this.#state.is === "ended" || this.isRetired) return undefined;
    if (this.#linked !== undefined) {
      if (this.needsOldValue && !exists) return undefined;
      const { data, bookkeeping } = this.#linked;
      this.#base = parseData(data);
      this.#bookkeeping =
        this.#source.oldStore === undefined
          ? this.#source.split(oldValue).bookkeeping
          : bookkeeping;
      return this.#source.join({ data: parseData(data), bookkeeping: this.#bookkeeping });
    }
    this.missed = !exists;
    if (exists) this.#remember(this.#source.split(oldValue));
    return oldValue;
  }

  // A copy: the old middleware hands the same objects to the application, which changes them.
  #remember({ data, bookkeeping }: LegacyValue): void {
    this.#base = JSON.parse(JSON.stringify(data)) as SessionData;
    this.#bookkeeping = bookkeeping;
  }

  /** The old middleware stores the session; `writeOld` puts a value into the old store. */
  async commit(value: unknown, writeOld: (value: unknown) => Promise<void>): Promise<void> {
    const next = this.#source.split(value);
    if (this.#state.is === "unlinked" && this.isUpgradable && (await this.#tryUpgrade(next))) {
      this.accepted = true;
      if (this.#env.writeThrough) await this.#writeThrough(() => writeOld(value));
      return;
    }
    // The race for the upgrade may have linked it, or found it ended.
    switch (this.#state.is) {
      case "ended":
        return;
      case "live":
        return this.#commitLinked(this.#state.sessionId, next, writeOld);
      default:
        this.#remember(next);
        this.accepted = true;
        await writeOld(value);
    }
  }

  async #commitLinked(
    sessionId: string,
    next: LegacyValue,
    writeOld: (value: unknown) => Promise<void>,
  ): Promise<void> {
    const changes = changesBetween(this.#base, next.data);
    // A draining cookie is never renewed, so its bookkeeping stays as well.
    const bookkeeping = this.#mode === "drain" ? this.#bookkeeping : next.bookkeeping;
    const renewed = !isDeepStrictEqual(bookkeeping, this.#bookkeeping);
    const link = { key: this.#hash, bookkeeping, expiresAt: this.#source.expiresAt(bookkeeping) };
    let data: SessionData = this.#base;
    try {
      if (changes !== undefined) {
        const committed = await commitChanges(
          this.#env.store.db,
          sessionId,
          { ...changes, ...this.#changedMaxAge(bookkeeping) },
          link,
        );
        if (committed === undefined) {
          this.#state = { is: "ended" };
          return;
        }
        data = parseData(committed.data);
      } else if (renewed) {
        await saveBookkeeping(this.#env.store.db, link);
      }
    } catch (error) {
      if (this.#mode !== "observe" || !isOutage(error)) throw error;
      this.#env.events.emit("error", error as Error);
      data = next.data;
    }
    this.#remember({ data, bookkeeping });
    if (this.#env.writeThrough && (changes !== undefined || renewed)) {
      await this.#writeThrough(() => writeOld(this.#source.join({ data, bookkeeping })));
    }
  }

  #changedMaxAge(bookkeeping: Bookkeeping): { maxAgeInSeconds?: number | null } {
    const maxAgeInSeconds = this.#source.ownMaxAgeInSeconds(bookkeeping);
    const before = this.#source.ownMaxAgeInSeconds(this.#bookkeeping);
    return maxAgeInSeconds === before ? {} : { maxAgeInSeconds };
  }

  // The token session holds the truth: an old store that is away must not fail the request.
  async #writeThrough(write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (cause) {
      this.#env.events.emit("error", new BridgeError("legacy-store-unavailable", { cause }));
    }
  }

  /** Upgrades what was read and not stored in this request. */
  async upgrade(): Promise<void> {
    if (this.#state.is !== "unlinked" || !this.isUpgradable || !this.accepted) return;
    await this.#tryUpgrade({ data: this.#base, bookkeeping: this.#bookkeeping });
  }

  /**
   * True when this call made the token session. Else the state says who was faster: another request, or
   * a logout. A failure leaves the session as it is, in the old store, for the next request to upgrade.
   */
  async #tryUpgrade(value: LegacyValue): Promise<boolean> {
    const { store, keys, events } = this.#env;
    const source = this.#source;
    try {
      const { bookkeeping } = value;
      const data = JSON.stringify(value.data);
      const sessionId = store.db.generateId();
      const maxAgeInSeconds = source.ownMaxAgeInSeconds(bookkeeping);
      const pair = await store.newPair(sessionId, parseData(data), maxAgeInSeconds);
      const won = await upgradeSession(store.db, {
        key: this.#hash,
        source: source.name,
        sealedKey: source.oldStore ? sealLegacyKey(keys, this.#hash, this.key) : null,
        bookkeeping,
        expiresAt: source.expiresAt(bookkeeping),
        sessionId,
        data,
        maxAgeInSeconds,
        pair,
      });
      if (!won) {
        await this.find();
        return false;
      }
      this.#link({ sessionId, data, bookkeeping, offer: pair, adoptedAt: null });
      this.#remember({ data: parseData(data), bookkeeping });
      events.emit("upgraded", { source: source.name, sessionId });
      return true;
    } catch (error) {
      events.emit("error", error as Error);
      return false;
    }
  }

  #link(link: LiveLink): void {
    this.#linked = link;
    this.#state = { is: "live", ...link };
  }

  /** Ends the session for cookie and tokens alike. */
  async end(): Promise<void> {
    const { db } = this.#env.store;
    if (this.#state.is === "unlinked" && this.#mode !== "observe" && !this.missed) {
      const expiresAt =
        this.#source.oldStore === undefined
          ? this.#source.expiresAt(this.#bookkeeping)
          : new Date(db.now().getTime() + tombstoneInSeconds * 1000);
      const noted = await endLegacyKey(db, {
        key: this.#hash,
        source: this.#source.name,
        expiresAt,
      });
      if (!noted) await this.find();
    }
    if (this.#state.is === "live") await revokeSession(db, this.#state.sessionId);
    this.#state = { is: "ended" };
    this.accepted = false;
  }

  /** The pair on offer to the client of this cookie; undefined once it has been adopted. */
  async offer(): Promise<TokenPair | undefined> {
    if (this.#state.is !== "live" || this.#state.offer === null) return undefined;
    const { db, codec, newPair } = this.#env.store;
    const { sessionId } = this.#state;
    let pair: PairRecord | undefined = this.#state.offer;
    const lifetime = pair.accessTokenExpiresAt - pair.issuedAt;
    const staleAt =
      Math.floor(db.now().getTime() / 1000) + Math.min(freshForInSeconds, lifetime / 2);
    if (pair.accessTokenExpiresAt <= staleAt) {
      const own = this.#source.ownMaxAgeInSeconds(this.#bookkeeping);
      const { accessToken, refreshToken } = pair;
      const renewed = { ...(await newPair(sessionId, this.#base, own)), accessToken, refreshToken };
      pair = await renewOffer(db, this.#hash, Math.floor(staleAt), renewed);
    }
    return pair && codec.signPair(sessionId, pair);
  }

  /** A further pair for a session whose tokens are in use already. */
  async issueFurther(): Promise<TokenPair | undefined> {
    if (this.#state.is !== "live") return undefined;
    const { sessionId } = this.#state;
    const maxAgeInSeconds = this.#source.ownMaxAgeInSeconds(this.#bookkeeping);
    const data = JSON.stringify(this.#base);
    return this.#env.store.issue({ id: sessionId, data, maxAgeInSeconds });
  }

  get sessionId(): string | undefined {
    return this.#state.is === "live" ? this.#state.sessionId : undefined;
  }
}

const isOutage = (error: unknown) => error instanceof BridgeError && error.status === 503;

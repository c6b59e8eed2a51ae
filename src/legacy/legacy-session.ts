import { StoredData } from "../commit.js";
import { BridgeError } from "../errors.js";
import type { Bookkeeping, LiveLink } from "../store/links.js";
import { revokeSession } from "../store/revoke-session.js";
import type { TokenPair } from "../tokens/jwt.js";
import { commitLinked } from "./commit-linked.js";
import type { OldValue } from "./commit-through.js";
import { exists, LegacyView } from "./legacy-view.js";
import { noteEnd } from "./link-state.js";
import { reachOld } from "./reach-old.js";
import type { LegacyValue } from "./source.js";
import { pairOnOffer, upgradeLegacySession } from "./upgrade.js";

/** A legacy session during one request: stored, upgraded, offered and ended. */
export class LegacySession extends LegacyView {
  #prolonged: Pick<LegacyValue, "bookkeeping"> | undefined;

  // A changed session that no cookie and no old store can hold.
  get #isUnwritable(): boolean {
    return this.source.isReadOnly === true && !this.hasOldStore;
  }

  // Somebody else linked it: what that session holds now was never seen by this request.
  async #findAnew(): Promise<void> {
    await this.find();
    if (this.link !== undefined) this.state = { ...this.link, checksum: "" };
  }

  /** The old middleware stores the session; `old` is its row in the old store. */
  async commit(value: unknown, old: OldValue, kept?: Bookkeeping): Promise<void> {
    const next = { ...this.copied(value), ...(kept && { bookkeeping: kept }) };
    if (this.state === "ended") return;
    if (this.state === "unknown" && this.#isUnwritable) throw new BridgeError("store-unavailable");
    if (this.link !== undefined) return this.#commitLinked(this.link, next, old);
    // First, so that a logout which races the upgrade destroys it last.
    await old.write(value);
    this.accepted = true;
    if (this.state === "unlinked") {
      if (this.#isUnwritable) await this.#upgradeNow(next);
      else if (this.isUpgradable && this.isSettled) await this.#upgradeNow(next).catch(this.#tell);
      // Another process, already in another mode, may have upgraded it since it was read.
      else if (this.mode === "observe" && !this.isMinted) await this.#findAnew();
    }
    if (this.hasEnded) await old.destroy();
    else if (this.link === undefined) this.remember(next);
    else await this.#commitLinked(this.link, next, old);
  }

  /** The old middleware keeps the session alive, and changes nothing else. */
  async prolong(value: unknown): Promise<void> {
    const { bookkeeping } = this.split(value);
    this.#prolonged = { bookkeeping };
    const next = { data: this.base, bookkeeping };
    if (this.link !== undefined) await this.#commitLinked(this.link, next, undefined);
  }

  async #commitLinked(link: LiveLink, next: LegacyValue, old: OldValue | undefined): Promise<void> {
    // A draining cookie is never renewed, so its bookkeeping stays as well.
    const bookkeeping = this.mode === "drain" ? this.bookkeeping : next.bookkeeping;
    const value = { data: next.data, bookkeeping };
    const seen = { data: this.base, bookkeeping: this.bookkeeping };
    try {
      this.state = await commitLinked(this.env, this.identity, link, { seen, value, old });
    } catch (error) {
      if (this.mode !== "observe" || !isOutage(error)) throw error;
      this.#tell(error);
    }
    // As the old middleware goes on to see it: not what was merged, or it would be taken for removed.
    if (!this.hasEnded) this.remember(value);
  }

  /**
   * Upgrades what was read and not stored in this request. A failure leaves the session as it is, in the
   * old store, for the next request to upgrade.
   *
   * @param options `isAskedFor` by the application, which is told of an outage; `evenIfUnsettled` when it
   *   does so of one request
   */
  async upgrade({ evenIfUnsettled = false, isAskedFor = false } = {}): Promise<void> {
    if (this.state !== "unlinked" || !this.isUpgradable || !this.accepted) return;
    if (!this.isSettled && !evenIfUnsettled) return;
    try {
      if (await this.#upgradeUnchanged()) return;
      if (await this.#readAgain()) {
        await this.#upgradeNow({ data: this.base, bookkeeping: this.bookkeeping });
      } else if (isAskedFor) {
        // It has ended, or the old store has forgotten it.
        await this.#findAnew();
      }
    } catch (error) {
      if (isAskedFor && isOutage(error)) throw error;
      this.#tell(error);
    }
  }

  // What has changed is read again.
  async #upgradeUnchanged(): Promise<boolean> {
    if (this.rowRead === undefined || this.#prolonged !== undefined) return false;
    const value = { data: this.base, bookkeeping: this.bookkeeping };
    const link = await upgradeLegacySession(this.env, this.identity, value, this.rowRead);
    if (link !== undefined) this.#become(link, value);
    return link !== undefined;
  }

  // While the handler ran, a process in `observe`, or without the bridge, may have stored or ended it.
  async #readAgain(): Promise<boolean> {
    const { oldStore } = this.source;
    if (oldStore === undefined) return true;
    const value = await reachOld(() => oldStore.get(this.key, this.ctx));
    if (exists(value)) this.remember({ ...this.split(value), ...this.#prolonged });
    return exists(value);
  }

  #tell = (error: unknown): void => {
    this.env.events.emit("error", error as Error);
  };

  /** Afterwards the state says who was faster: this call, another request, or a logout. */
  async #upgradeNow(value: LegacyValue): Promise<void> {
    const link = await upgradeLegacySession(this.env, this.identity, value);
    if (link === undefined) {
      await this.#findAnew();
      return;
    }
    this.#become(link, value);
  }

  #become(link: LiveLink, value: LegacyValue): void {
    this.state = link;
    this.remember(value);
    const { sessionId } = link;
    this.env.events.emit("upgraded", { source: this.source.name, sessionId });
  }

  /** Ends the session for cookie and tokens alike. */
  async end(): Promise<void> {
    const { db } = this.env.store;
    if (this.state === "unlinked" && !this.missed) {
      const isNoted = await noteEnd(this.env, this.mode, this.identity, this.bookkeeping);
      if (!isNoted) await this.find();
    }
    if (this.link !== undefined) await revokeSession(db, this.link.sessionId);
    this.state = "ended";
    this.accepted = false;
  }

  /** The pair on offer to the client of this cookie; undefined once it has been adopted. */
  async offer(): Promise<TokenPair | undefined> {
    const link = this.link;
    const pair = link && (await pairOnOffer(this.env, this.identity, link));
    return pair && this.env.signOffer(link.sessionId, pair);
  }

  /** A further pair for a session whose tokens are in use already. */
  async issueFurther(): Promise<TokenPair | undefined> {
    const id = this.sessionId;
    if (id === undefined) return undefined;
    const maxAgeInSeconds = this.source.ownMaxAgeInSeconds(this.bookkeeping);
    const data = new StoredData(JSON.stringify(this.base));
    return this.env.store.issue({ id, data, maxAgeInSeconds });
  }
}

const isOutage = (error: unknown) => error instanceof BridgeError && error.status === 503;

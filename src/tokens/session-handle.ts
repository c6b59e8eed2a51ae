import type { Context } from "koa";
import { type Changes, changesBetween, type SessionData, StoredData } from "../commit.js";
import type { SessionRow } from "../store/read-sessions.js";
import { revokeSession } from "../store/revoke-session.js";
import type { CommittedSession } from "../store/update-session.js";
import type { TokenPair } from "./jwt.js";
import {
  createSession,
  dataOf,
  type Session,
  type SessionOwner,
  showSession,
  shownIn,
} from "./session.js";
import type { TokenStore } from "./token-store.js";

/** What the bridge wants to know of the token path. */
export interface TokenPathHooks {
  /** `ctx.session` stands, and the handler has not run yet. */
  opened(ctx: Context, session: SessionHandle, row: SessionRow | undefined): void;
  /** The session is being committed, with `data` as its request left it. */
  committing(
    ctx: Context,
    row: SessionRow,
    data: SessionData,
    commit: () => Promise<CommittedSession | undefined>,
  ): Promise<CommittedSession | undefined>;
  /** The session has been ended. */
  ended(ctx: Context, row: SessionRow): Promise<void>;
}

interface CommitOptions {
  readonly save?: boolean;
  readonly regenerate?: boolean;
  readonly handlerFailed?: boolean;
}

/**
 * The token session of one request: loads lazily, commits changes, keeps what is to be handed out.
 * Three states, as seen by the handler: untouched (undefined), removed (false), a session object.
 */
export class SessionHandle implements SessionOwner {
  readonly #store: TokenStore;
  readonly #ctx: Context;
  readonly #hooks: TokenPathHooks | undefined;
  readonly #merged: (sessionId: string) => void;
  readonly defaultMaxAgeInSeconds: number;
  keepsUnderscored = false;
  /** A session without members is removed, not stored. */
  isRemovedWhenEmpty = false;
  /** The data moves to a new session when it is committed. */
  isMovedAtCommit = false;
  /** False: nothing is committed. True: stored whether changed or not. */
  isSaved: boolean | null = null;
  #row: SessionRow | undefined;
  #session: Session | false | undefined;
  #maxAgeInSeconds: number | null;
  #maxAgeChanged = false;
  #underway: Promise<void> | undefined;
  /** A pair made in this request that the client does not have yet. */
  #pair: TokenPair | undefined;

  constructor(
    store: TokenStore,
    row: SessionRow | undefined,
    options: {
      ctx: Context;
      hooks: TokenPathHooks | undefined;
      merged: (sessionId: string) => void;
      defaultMaxAgeInSeconds: number;
    },
  ) {
    this.#store = store;
    this.#row = row;
    this.#ctx = options.ctx;
    this.#hooks = options.hooks;
    this.#merged = options.merged;
    this.defaultMaxAgeInSeconds = options.defaultMaxAgeInSeconds;
    this.#maxAgeInSeconds = row?.maxAgeInSeconds ?? null;
  }

  /** What changes are told from. */
  get #base(): SessionData {
    return this.#row?.data.value ?? {};
  }

  get isNew(): boolean {
    return this.#row === undefined;
  }

  /** The handler has set it to null. */
  get isRemoved(): boolean {
    return this.#session === false;
  }

  get externalKey(): string | undefined {
    return this.#row?.id;
  }

  get maxAgeInSeconds(): number | null {
    return this.#maxAgeInSeconds;
  }

  set maxAgeInSeconds(seconds: number | null) {
    this.#maxAgeInSeconds = seconds;
    this.#maxAgeChanged = true;
  }

  /** `ctx.session` */
  get(): Session | null {
    if (this.#session === false) return null;
    this.#session ??= showSession(this, this.#base);
    return this.#session;
  }

  /** `ctx.session = value`: null removes the session, an object replaces its data and keeps its id. */
  set(value: unknown): void {
    if (value === null) {
      this.#session = false;
      return;
    }
    if (typeof value !== "object")
      throw new TypeError("ctx.session can only be set to null or an object");
    this.#session = createSession(this, value);
    if ("maxAge" in value) this.#session.maxAge = value.maxAge as number;
  }

  /** Brings the store up to date with the session object, after whatever commit is under way. */
  async commit(options: CommitOptions = {}): Promise<void> {
    await this.commitIfNeeded(options);
  }

  /** The same; undefined when there is nothing to commit, as after most requests. */
  commitIfNeeded(options: CommitOptions): Promise<void> | undefined {
    const commit = () => this.#commit(options);
    const committed = this.#underway === undefined ? commit() : this.#underway.then(commit, commit);
    this.#underway = committed;
    return committed;
  }

  #commit({
    save = false,
    regenerate = false,
    handlerFailed = false,
  }: CommitOptions): Promise<void> | undefined {
    // A session that is not to be saved must still end where it is to be moved.
    if (this.#session === undefined || (this.isSaved === false && !regenerate)) return undefined;
    if (this.#session === false || this.#isEmptied(this.#session)) return this.#remove();
    if (this.#row === undefined) {
      // Without its response the client would never get the tokens of a new session.
      const isSaved = save || this.isSaved === true;
      const worthwhile = isSaved || this.#session.populated || this.#maxAgeChanged;
      return worthwhile && !handlerFailed ? this.#create(this.#session) : undefined;
    }
    if (regenerate || (this.isMovedAtCommit && !handlerFailed))
      return this.#regenerate(this.#session);
    return this.#update(this.#row, this.#session, save || this.isSaved === true);
  }

  #isEmptied(session: Session): boolean {
    return this.isRemovedWhenEmpty && !session.populated && this.#hadMembers();
  }

  #hadMembers(): boolean {
    return Object.keys(shownIn(this.#base, this)).length > 0;
  }

  /** The pair that is still to be handed out, if any; asked for once. */
  takePair(): TokenPair | undefined {
    const pair = this.#pair;
    this.#pair = undefined;
    return pair;
  }

  /** Commits, then gives a pair for the session: the one just made, else a further one. */
  async issue(): Promise<TokenPair | undefined> {
    await this.commit();
    if (this.#row === undefined || this.#session === false) return undefined;
    return this.takePair() ?? this.#store.issue(this.#row);
  }

  async #create(session: Session): Promise<void> {
    const maxAgeInSeconds = this.#maxAgeInSeconds;
    const { row, pair } = await this.#store.create(dataOf(session), maxAgeInSeconds);
    this.#row = row;
    this.#pair = pair;
    this.#committed(maxAgeInSeconds);
  }

  #update(row: SessionRow, session: Session, save: boolean): Promise<void> | undefined {
    const data = dataOf(session);
    const changes = changesBetween(shownIn(this.#base, this), data);
    if (changes === undefined && !this.#maxAgeChanged && !save) return undefined;
    return this.#write(row, data, changes);
  }

  async #write(row: SessionRow, data: SessionData, changes: Changes | undefined): Promise<void> {
    // The handler may change it while it is being committed.
    const stored = new StoredData(JSON.stringify(data));
    const maxAgeInSeconds = this.#maxAgeInSeconds;
    const ownMaxAge = this.#maxAgeChanged && { maxAgeInSeconds };
    const commit = () =>
      this.#store.commit(row.id, { set: {}, removed: [], ...changes, ...ownMaxAge });
    const committed = await (this.#hooks?.committing(this.#ctx, row, data, commit) ?? commit());
    // Logged out in the meantime: the logout wins and the change is dropped.
    if (committed === undefined) return;
    // What others changed was merged but not seen here: the version stays one that is not current.
    const isSeen = committed.previous === row.checksum;
    if (!isSeen) this.#merged(row.id);
    this.#row = { ...row, data: stored, checksum: isSeen ? committed.checksum : "" };
    this.#committed(maxAgeInSeconds);
  }

  async #regenerate(session: Session): Promise<void> {
    const row = this.#row;
    this.isMovedAtCommit = false;
    // The new one first: a store that fails in between has logged nobody out.
    await this.#create(session);
    if (row !== undefined) await this.#end(row);
  }

  async #remove(): Promise<void> {
    const row = this.#row;
    if (row === undefined) return;
    await this.#end(row);
    this.#row = undefined;
    this.#pair = undefined;
  }

  async #end(row: SessionRow): Promise<void> {
    await revokeSession(this.#store.db, row.id);
    await this.#hooks?.ended(this.#ctx, row);
  }

  // From here on, only what changes after this commit is a change.
  #committed(maxAgeInSeconds: number | null): void {
    this.#maxAgeChanged = this.#maxAgeInSeconds !== maxAgeInSeconds;
  }
}

/** What counts of a token whose signature holds. */
export interface VerifiedToken {
  /** The id of its row. */
  readonly tokenId: string;
  /** Seconds since the epoch. */
  readonly expiresAt: number;
}

/**
 * Tokens whose signature held, by the exact string: it need not be verified again before the token
 * expires. Nothing is remembered of tokens that were refused, so nobody can fill it with made-up ones. The
 * oldest entry goes when there are `maximumEntries`.
 */
export class VerifiedTokens {
  readonly #entries = new Map<string, VerifiedToken>();
  readonly #maximumEntries: number;

  constructor(maximumEntries: number) {
    this.#maximumEntries = maximumEntries;
  }

  /** A remembered token, while it is valid. */
  get(token: string, now: Date): VerifiedToken | undefined {
    const entry = this.#entries.get(token);
    if (entry === undefined) return undefined;
    if (entry.expiresAt * 1000 > now.getTime()) return entry;
    this.#entries.delete(token);
    return undefined;
  }

  add(token: string, entry: VerifiedToken): void {
    if (this.#entries.size >= this.#maximumEntries) {
      const [oldest] = this.#entries.keys();
      if (oldest !== undefined) this.#entries.delete(oldest);
    }
    this.#entries.set(token, entry);
  }
}

interface Entry {
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
  readonly #entries = new Map<string, Entry>();
  readonly #maximumEntries: number;

  constructor(maximumEntries: number) {
    this.#maximumEntries = maximumEntries;
  }

  /** The id of a remembered token's row, while the token is valid. */
  get(token: string, now: Date): string | undefined {
    const entry = this.#entries.get(token);
    if (entry === undefined) return undefined;
    if (entry.expiresAt * 1000 > now.getTime()) return entry.tokenId;
    this.#entries.delete(token);
    return undefined;
  }

  add(token: string, entry: Entry): void {
    if (this.#entries.size >= this.#maximumEntries) {
      const [oldest] = this.#entries.keys();
      if (oldest !== undefined) this.#entries.delete(oldest);
    }
    this.#entries.set(token, entry);
  }
}

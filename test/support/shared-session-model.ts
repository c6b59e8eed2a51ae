import type { Tokens } from "./tokens.js";

/** Who does something: `@compas/store` or this package. */
export type Side = "compas" | "bridge";

interface ModelPair {
  readonly tokens: Tokens;
  readonly accessTokenExpiresAt: number;
  /** As the refresh token's row has it: Compas moves it. */
  revokedAt?: number;
  isAccessTokenRevoked: boolean;
  /** When the bridge takes it to have been rotated: never moves. */
  rotatedAt?: number;
  /** The pair that the bridge gave for it. */
  successor?: ModelPair;
  isDeleted: boolean;
}

const graceInMs = 15_000;

/** What one session that both sides work on must be like, said apart from either's code. */
export class SharedSessionModel {
  readonly pairs: ModelPair[] = [];
  data: Record<string, unknown> = {};
  isLive = true;
  leaks = 0;

  constructor(
    readonly now: () => number,
    readonly accessTokenMaxAgeInMs: number,
  ) {}

  issued(tokens: Tokens): ModelPair {
    const pair = {
      tokens,
      accessTokenExpiresAt: this.now() + this.accessTokenMaxAgeInMs,
      isAccessTokenRevoked: false,
      isDeleted: false,
    };
    this.pairs.push(pair);
    return pair;
  }

  isAccepted(pair: ModelPair): boolean {
    const isExpired = pair.accessTokenExpiresAt <= this.now();
    return this.isLive && !pair.isDeleted && !pair.isAccessTokenRevoked && !isExpired;
  }

  /** What a side must answer: nothing, a new pair, or the one it gave before. */
  refresh(side: Side, pair: ModelPair): "refused" | "new" | ModelPair {
    if (!this.isLive || pair.isDeleted) return "refused";
    return side === "compas" ? this.#refreshByCompas(pair) : this.#refreshByBridge(pair);
  }

  #refreshByCompas(pair: ModelPair): "refused" | "new" {
    if (pair.revokedAt !== undefined && pair.revokedAt + graceInMs < this.now()) {
      return this.#leak();
    }
    pair.revokedAt = this.now();
    pair.isAccessTokenRevoked = true;
    return "new";
  }

  #refreshByBridge(pair: ModelPair): "refused" | "new" | ModelPair {
    const rotatedAt = pair.rotatedAt ?? pair.revokedAt;
    const isLate = rotatedAt !== undefined && rotatedAt + graceInMs <= this.now();
    if (isLate || pair.successor?.revokedAt !== undefined) return this.#leak();
    pair.revokedAt ??= this.now();
    pair.rotatedAt ??= pair.revokedAt;
    return pair.successor ?? "new";
  }

  #leak(): "refused" {
    this.leaks += 1;
    this.isLive = false;
    for (const pair of this.pairs) pair.revokedAt ??= this.now();
    return "refused";
  }

  invalidate(): void {
    this.isLive = false;
    for (const pair of this.pairs) pair.revokedAt ??= this.now();
  }

  /** By either side, of everything that ended before now. */
  cleanUp(): void {
    for (const pair of this.pairs) {
      if (pair.revokedAt !== undefined && pair.revokedAt < this.now()) pair.isDeleted = true;
    }
  }
}

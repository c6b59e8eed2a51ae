import type { BridgeErrorCode } from "./errors.js";
import type { Mode } from "./mode.js";

/** What became of a presented legacy cookie. */
export type LegacyOutcome = "hit" | "missed" | "unverified" | "retired" | "redundant" | "dropped";

/** Why a token was refused: forged or foreign; past its time; or its row or session has ended. */
export type TokenRefusal = "unverified" | "expired" | "ended";

/** The events of the token path. No event carries a token, a cookie value or a key. */
export interface TokenEvents {
  /**
   * A refresh token was exchanged for its successor pair; `repeated` when its first answer had to be given
   * again.
   */
  refreshed: [{ sessionId: string; result: "rotated" | "repeated" }];
  /** A refresh token was refused; `reused` when that has ended its session. */
  "refresh-refused": [{ reason: TokenRefusal | "reused" }];
  /** A rotated refresh token came back after its grace period: the session has been revoked. */
  "session:leaked": [{ sessionId: string }];
  /** A presented access token was refused. */
  "token-refused": [{ reason: TokenRefusal }];
  /** A commit found that somebody else had changed the session, and merged both changes. */
  merged: [{ sessionId: string }];
  /** A request was answered with a problem document. */
  refused: [{ code: BridgeErrorCode; status: number }];
  /** Something failed beside a request that went on, or an idle connection was lost. */
  error: [Error];
}

/** What a request presented: `refresh` is the endpoint that takes a refresh token. */
export type PresentedCredential = "bearer" | "invalid" | "legacy" | "none" | "refresh";

/** The events of the bridge. */
export interface BridgeEvents extends TokenEvents {
  /** A request has been served; `addedInSeconds` is what it took beside the application's own handlers. */
  request: [{ mode: Mode; credential: PresentedCredential; addedInSeconds: number }];
  /** A request whose only live credential was a legacy cookie. `labels` are the user's own. */
  "legacy-hit": [{ source: string; labels: Readonly<Record<string, string>> }];
  /** A legacy cookie was presented, whatever became of it. */
  "legacy-cookie": [
    {
      source: string;
      outcome: LegacyOutcome;
      labels: Readonly<Record<string, string>>;
      /** Dropped by a brownout, not by the mode. */
      isBrownout: boolean;
    },
  ];
  /** A legacy session became a token session. */
  upgraded: [{ source: string; sessionId: string }];
  /** A token pair was handed to a client that still comes with its cookie. */
  offered: [{ source: string; sessionId: string }];
  /** A client used a token of an upgraded session for the first time. */
  adopted: [{ source: string; sessionId: string }];
}

type Listener = (...args: never[]) => unknown;

/** Tells listeners; a listener that throws fails nobody's request, and `error` needs none. */
export class Events<Map extends Record<keyof Map, unknown[]>> {
  readonly #listeners = new globalThis.Map<keyof Map, readonly Listener[]>();

  on<Name extends keyof Map & string>(name: Name, listener: (...args: Map[Name]) => unknown): void {
    this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), listener]);
  }

  emit<Name extends keyof Map & string>(name: Name, ...args: Map[Name]): void {
    for (const listener of this.#listeners.get(name) ?? []) {
      try {
        const told: unknown = (listener as (...args: Map[Name]) => unknown)(...args);
        if (told instanceof Promise) told.catch(warn);
      } catch (error) {
        warn(error);
      }
    }
  }
}

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : String(error));
}

import type { Brownout } from "../brownout.js";
import type { LegacyOutcome, PresentedCredential } from "../events.js";
import type { Mode } from "../mode.js";
import type { ModeChange } from "../store/mode-log.js";
import type { Straggler, UnlinkedSessions } from "../store/read-status.js";
import type { About } from "./about.js";

/** How the migration of the whole fleet goes. Counts are of the last 30 days (UTC), today among them. */
export interface MigrationStatus {
  readonly at: Date;
  /** Of the processes that serve requests; where none does, of the flag in PostgreSQL. */
  readonly mode: Mode;
  /** The flag's audit trail: the last changes, the newest first. */
  readonly changes: readonly ModeChange[];
  readonly brownout: (Brownout & { readonly isOn: boolean }) | null;
  readonly processes: readonly ProcessStatus[];
  /** The oldest first; the last one is today. */
  readonly days: readonly DayStatus[];
  /** Presented legacy cookies by source and by what became of them. */
  readonly legacyCookies: Readonly<Record<string, Record<LegacyOutcome, number>>>;
  /** Legacy cookies that a brownout had refused, by source. */
  readonly brownouts: Readonly<Record<string, number>>;
  /** Requests by the credential that they presented. */
  readonly requests: Readonly<Record<PresentedCredential, number>>;
  readonly upgraded: number;
  /** Responses that carried tokens to a client that came with its cookie. */
  readonly offered: number;
  readonly adopted: number;
  /** Refresh tokens presented, by what they got: `rotated`, `repeated`, `reused`, … */
  readonly refreshes: Readonly<Record<string, number>>;
  /** Access tokens refused, by the reason. */
  readonly tokensRefused: Readonly<Record<string, number>>;
  /** Requests answered with a problem document, by its code. */
  readonly refusals: Readonly<Record<string, number>>;
  /** Commits that merged what somebody else had changed. */
  readonly merged: number;
  readonly errors: number;
  readonly sources: readonly SourceStatus[];
  /** Who came by cookie alone in the last 7 days, most first; 20 at most. */
  readonly stragglers: readonly Straggler[];
  /** When the last cookie ends that tokens have not replaced; null where there is none, or nobody knows. */
  readonly lastCookieExpiresAt: Date | null;
  readonly verdict: Verdict;
}

/** A process of the fleet that is alive. */
export interface ProcessStatus extends About {
  readonly id: string;
  readonly mode: string;
  readonly startedAt: Date;
  readonly seenAt: Date;
}

export interface DayStatus {
  /** UTC, as 2026-11-21. */
  readonly day: string;
  /** Requests whose only live credential was a legacy cookie, by source; those of brownouts among them. */
  readonly hits: Readonly<Record<string, number>>;
  /** The same, of all sources. */
  readonly legacy: number;
  /** Requests with a token. */
  readonly bearer: number;
  /** Cookies refused by mode `tokens`. */
  readonly dropped: number;
}

/** The sessions of one old system. */
export interface SourceStatus {
  readonly name: string;
  /** Upgraded sessions that are alive. */
  readonly live: number;
  /** Of those, the ones whose client uses its tokens. */
  readonly adopted: number;
  /** Of those, the ones that only a cookie opens that may still come. */
  readonly remaining: number;
  /** How many of the remaining end at a time that is not known. */
  readonly withoutExpiry: number;
  /** When the last of the remaining cookies ends, as far as that is known. */
  readonly lastExpiresAt: Date | null;
  /** Live sessions that are not upgraded; null where the old store cannot count. */
  readonly notUpgraded: UnlinkedSessions | null;
  readonly cookieMaxAgeInSeconds: number | null;
}

/** Whether the next mode would log anybody out. */
export interface Verdict {
  /** `safe to drain`: clients take tokens. `safe to drop`: no cookie is left that tokens have not replaced. */
  readonly answer: "safe to drain" | "safe to drop" | "not yet";
  /** Why, in sentences; the ones that stand in the way first. */
  readonly reasons: readonly string[];
  /** When the answer is expected to be yes; null when it is, or nothing tells. */
  readonly estimatedAt: Date | null;
}

import type { BridgeEvents, Events, LegacyOutcome } from "../events.js";
import type { Mode } from "../mode.js";

/** How the migration goes, counted in this process since it started. */
export interface MigrationStatus {
  /** The mode of the latest request. */
  mode: Mode;
  since: Date;
  /** Presented legacy cookies by source and by what became of them. */
  legacyCookies: Record<string, Record<LegacyOutcome, number>>;
  upgraded: number;
  /** Responses that carried tokens to a client that came with its cookie. */
  offered: number;
  adopted: number;
  refreshed: number;
  /** Sessions revoked because a rotated refresh token came back. */
  leaked: number;
  /** Requests refused for their access token. */
  tokensRefused: number;
}

const noHits = (): Record<LegacyOutcome, number> => ({
  hit: 0,
  missed: 0,
  unverified: 0,
  retired: 0,
  redundant: 0,
  dropped: 0,
});

/** Counts what the bridge tells; gives a copy of the counts. */
export function countHits(
  events: Events<BridgeEvents>,
  sources: readonly string[],
  since: Date,
): (mode: Mode) => MigrationStatus {
  const legacyCookies = Object.fromEntries(sources.map((source) => [source, noHits()]));
  const counts = { upgraded: 0, offered: 0, adopted: 0, refreshed: 0, leaked: 0, tokensRefused: 0 };

  events.on("legacy-cookie", ({ source, outcome }) => {
    const hits = (legacyCookies[source] ??= noHits());
    hits[outcome] += 1;
  });
  events.on("upgraded", () => (counts.upgraded += 1));
  events.on("offered", () => (counts.offered += 1));
  events.on("adopted", () => (counts.adopted += 1));
  events.on("refreshed", () => (counts.refreshed += 1));
  events.on("session:leaked", () => (counts.leaked += 1));
  events.on("token-refused", () => (counts.tokensRefused += 1));

  return (mode) => ({ mode, since, legacyCookies: structuredClone(legacyCookies), ...counts });
}

import type { LegacyOutcome, SessionBridge } from "../../src/index.js";

/** What one bridge has told since it was made. */
export interface Counts {
  legacyCookies: Record<string, Record<LegacyOutcome, number>>;
  upgraded: number;
  offered: number;
  adopted: number;
  refreshed: number;
  leaked: number;
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

/** Counts the events of a bridge; gives a copy of the counts. */
export function countEvents(
  events: Pick<SessionBridge, "on">,
  sources: readonly string[],
): () => Counts {
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

  return () => ({ legacyCookies: structuredClone(legacyCookies), ...counts });
}

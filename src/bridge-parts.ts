import type Koa from "koa";
import type { ParsedBridgeOptions } from "./bridge-options.js";
import { type BridgeEvents, Events } from "./events.js";
import { createInspector } from "./inspect.js";
import { createBackfill } from "./legacy/backfill.js";
import type { LegacyEnvironment } from "./legacy/environment.js";
import { installSources } from "./legacy/install.js";
import { createLegacyPath } from "./legacy/legacy-path.js";
import { createOffers } from "./legacy/offer.js";
import { createOfferSigner } from "./legacy/signed-offers.js";
import { createWriteThrough } from "./legacy/write-through.js";
import { createModeFlag } from "./mode.js";
import { createFleetFlag } from "./mode-poll.js";
import { aboutBridge } from "./monitor/about-bridge.js";
import { createMonitor } from "./monitor/monitor.js";
import { createDatabase } from "./store/database.js";
import { endedOriginReader, linkReader } from "./store/links.js";
import { linkAndRowReader, type OldTable, unchangedRow } from "./store/old-table.js";
import { createSessionCache } from "./store/session-cache.js";
import { unchangedUpgrader } from "./store/upgrade-sessions.js";
import { refresher, sessionStoreOver } from "./tokens/session-store.js";
import { createTokenPath } from "./tokens/token-path.js";
import { createTokenStore } from "./tokens/token-store.js";

export type BridgeParts = ReturnType<typeof createParts>;

/** Makes what the stages of the bridge work with. */
export function createParts(parsed: ParsedBridgeOptions, app: Koa) {
  const { shared, tokens } = parsed;
  const events = new Events<BridgeEvents>();
  const tell = (error: Error) => {
    events.emit("error", error);
  };
  const db = createDatabase(shared);
  const cache = createSessionCache(db, shared, tell);
  const store = createTokenStore(db, tokens, { withLinks: true, cache });
  const tablesBeside = new Map(
    parsed.sources.flatMap(({ name, oldStore }): [string, OldTable][] => {
      const { pool = shared.pool, ...table } = oldStore?.table ?? {};
      return "name" in table && pool === shared.pool ? [[name, table]] : [];
    }),
  );
  const environment: LegacyEnvironment = {
    ...parsed,
    store,
    signOffer: createOfferSigner(store.codec),
    events,
    keys: tokens.keys,
    readLink: linkReader(db),
    readLinkAndRow: new Map(
      [...tablesBeside].map(([name, table]) => [name, linkAndRowReader(db, table)]),
    ),
    upgradeUnchanged: new Map(
      [...tablesBeside].map(([name, table]) => [name, unchangedUpgrader(db, unchangedRow(table))]),
    ),
    hasEndedOrigin: endedOriginReader(db),
  };
  const sources = installSources(app, parsed.sources);
  const fleet = createFleetFlag(db, shared.directPool, {
    tell,
    // Whoever has set the flag waits for the processes to say that they follow.
    changed: () => void monitor.flush().catch(tell),
  });
  const flag = createModeFlag(parsed.mode, fleet, tell, shared.clock);
  const writeThrough = createWriteThrough(environment, sources, () => flag.current === "tokens");
  const paths = {
    tokens: createTokenPath(store, { shared, tokens }, events, writeThrough.ofRequests),
    legacy: createLegacyPath(environment),
  };
  const offers = createOffers(shared.transport, parsed.offer, events);
  const refreshTokens = refresher(store, events, async ({ sessionId, outcome, link, adopted }) => {
    if (link === null) return;
    if (adopted) events.emit("adopted", { source: link.source, sessionId });
    if (outcome === "reused") await writeThrough.end(link);
  });
  const sessions = sessionStoreOver(store, events, refreshTokens, writeThrough.ofStore);
  const about = () => aboutBridge(app, parsed, { modeFrom: flag.from, tablesBeside });
  const inspector = createInspector(app, shared.pool, sources, paths.legacy, about);
  const monitor = createMonitor(db, events, {
    labels: parsed.labels,
    readAccessToken: shared.readAccessToken,
    flag,
    about,
  });
  // A backfill may count where no request is served.
  events.on("upgraded", () => {
    monitor.report();
  });
  const backfill = createBackfill(environment, sources, tablesBeside, async () => {
    await fleet.follow();
    return flag.current;
  });

  return {
    environment,
    events,
    db,
    cache,
    sources,
    flag,
    paths,
    offers,
    monitor,
    tell,
    refreshTokens,
    sessions,
    inspector,
    backfill,
  };
}

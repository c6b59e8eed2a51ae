import type { BridgeEvents, Events } from "../events.js";
import type { Link } from "../store/links.js";
import type { linkAndRowReader } from "../store/old-table.js";
import type { unchangedUpgrader } from "../store/upgrade-sessions.js";
import type { RingKey } from "../tokens/keys.js";
import type { TokenStore } from "../tokens/token-store.js";
import type { OfferSigner } from "./signed-offers.js";

/** What all legacy sessions of a bridge share. */
export interface LegacyEnvironment {
  readonly store: TokenStore;
  readonly signOffer: OfferSigner;
  readonly keys: readonly RingKey[];
  readonly events: Events<BridgeEvents>;
  readonly readLink: (key: string) => Promise<Link | undefined>;
  /** For a source whose old store is a table beside the bridge's own: reads both at once. */
  readonly readLinkAndRow: ReadonlyMap<string, ReturnType<typeof linkAndRowReader>>;
  /** For the same sources. */
  readonly upgradeUnchanged: ReadonlyMap<string, ReturnType<typeof unchangedUpgrader>>;
  readonly hasEndedOrigin: (origin: string) => Promise<true | undefined>;
  readonly cookieLingerInSeconds: number;
  readonly writeThrough: boolean;
  readonly allowUnsigned: boolean;
}

export { sessionBridge } from "./bridge.js";
export type { KoaApplication, SessionBridge } from "./session-bridge.js";
export type { Deprecation, SessionBridgeOptions } from "./bridge-options.js";
export { BridgeError, type BridgeErrorCode } from "./errors.js";
export type { Brownout } from "./brownout.js";
export type {
  BridgeEvents,
  LegacyOutcome,
  PresentedCredential,
  TokenEvents,
  TokenRefusal,
} from "./events.js";
export type { BackfillCounts, BackfillOptions, BackfillResult } from "./legacy/backfill.js";
export type { BridgeSettings, InspectedCookie } from "./inspect.js";
export { compasSession } from "./legacy/sources/compas-session.js";
export { type CompasLegacyStore, compasLegacyStore } from "./legacy/sources/compas-store.js";
export { type CookieSessionOptions, cookieSession } from "./legacy/sources/cookie-session.js";
export { expressSession } from "./legacy/sources/express-session.js";
export type {
  ExpressSessionOptions,
  ExpressSessionStore,
} from "./legacy/sources/express-session-format.js";
export { koaGenericSession } from "./legacy/sources/koa-generic-session.js";
export { koaSession } from "./legacy/sources/koa-session.js";
export { koaSessionMinimal } from "./legacy/sources/koa-session-minimal.js";
export type { LegacySource } from "./legacy/source.js";
export type { Mode, ModeOption } from "./mode.js";
export {
  type OpenFeatureClient,
  openFeatureMode,
  type OpenFeatureModeOptions,
} from "./openfeature.js";
export type { DashboardOptions } from "./monitor/dashboard/server.js";
export type { MigrationStatus, Verdict } from "./monitor/migration-status.js";
export type { CacheOptions, SharedOptions, Transport } from "./common-options.js";
export type { TokenMaxAges, TokenOptions } from "./tokens/options.js";
export type { TokenPair } from "./tokens/jwt.js";
export type { Session } from "./tokens/session.js";
export type { SigningAlgorithm, SigningKey } from "./tokens/keys.js";
export type { SessionStore, StoredSession } from "./tokens/session-store.js";
export type { SessionContext, SessionMiddleware } from "./tokens/token-session.js";

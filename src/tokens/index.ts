export { BridgeError, type BridgeErrorCode } from "../errors.js";
export type { TokenEvents } from "../events.js";
export type { CacheOptions, SharedOptions, Transport } from "../common-options.js";
export type { TokenMaxAges, TokenOptions, TokenSessionOptions } from "./options.js";
export type { Cleaned } from "../store/cleanup.js";
export type { Pool, PoolClient } from "../store/database.js";
export { migrate, type Migration, migrations } from "../store/migrate.js";
export type { TokenPair } from "./jwt.js";
export type { SigningAlgorithm, SigningKey } from "./keys.js";
export type { Session } from "./session.js";
export {
  type ClosableSessionStore,
  createSessionStore,
  type SessionStore,
  type StoredSession,
} from "./session-store.js";
export { type SessionContext, type SessionMiddleware, tokenSession } from "./token-session.js";

import { bridge, logout, refresh, stolenToken, twoCredentials } from "./credentials.js";
import {
  backToBridge,
  backToKoaSession,
  before,
  counters,
  drain,
  observe,
  tokens,
} from "./flag.js";
import type { Stage } from "./stage.js";

/** The migration, from the first cookie to the last flip of the flag and back. */
export const chapters: readonly ((stage: Stage) => Promise<void>)[] = [
  before,
  observe,
  bridge,
  twoCredentials,
  refresh,
  stolenToken,
  logout,
  counters,
  drain,
  tokens,
  backToBridge,
  backToKoaSession,
];

import { BridgeError } from "../errors.js";

/** @throws BridgeError `legacy-store-unavailable` for whatever the old store throws */
export async function reachOld<Result>(reach: () => Result): Promise<Awaited<Result>> {
  try {
    return await reach();
  } catch (cause) {
    throw new BridgeError("legacy-store-unavailable", { cause });
  }
}

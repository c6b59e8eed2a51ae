import { randomUUID } from "node:crypto";

// Requests that a page sends at once all come with the cookie that has no id yet, and each response
// gives it one. By now the browser has kept the last of them.
const settlesInMilliseconds = 5000;

/**
 * The id that gives a data cookie an identity: `<time of issue>.<random>.<origin>`. Two people may have
 * the same data and so the very same signed cookie; a session is therefore only ever tied to an id that
 * we made and that has come back. The origin is the hash of the cookie that had no id, if there was one.
 */
export function makeDataCookieId(now: Date, origin: Buffer | undefined): string {
  return `${now.getTime().toString(36)}.${randomUUID()}.${origin?.toString("base64url") ?? ""}`;
}

export interface DataCookieId {
  /** From when on the browser can be trusted to have kept this id, and no other. */
  readonly settledAt: Date;
  readonly origin: Buffer | undefined;
}

export function parseDataCookieId(id: string): DataCookieId {
  const [issuedAt = "", , origin = ""] = id.split(".");
  return {
    settledAt: new Date((Number.parseInt(issuedAt, 36) || 0) + settlesInMilliseconds),
    origin: origin === "" ? undefined : Buffer.from(origin, "base64url"),
  };
}

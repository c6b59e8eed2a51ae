import type { OldTable } from "../store/old-table.js";
import type { ModeOrigin } from "../mode.js";

/** What a process tells of itself with each flush. Nothing in it is secret. */
export interface About {
  readonly host: string;
  readonly pid: number;
  readonly node: string;
  readonly modeFrom: ModeOrigin;
  readonly sources: readonly AboutSource[];
  readonly cookieLingerInSeconds: number;
  /** Of the pool, where it tells. */
  readonly poolMax: number | null;
  /** `app.proxy`. */
  readonly isBehindProxy: boolean;
  /** Ids of the signing keys, the first signs. */
  readonly signingKeys: readonly string[];
  /** The process has closed its bridge: it is not one of the fleet any more. */
  readonly hasEnded?: boolean;
  /** False where no request has come yet, as in a backfill: the process is not one of the fleet. */
  readonly servesRequests?: boolean;
}

/** An old session system, as the operator has to know it. */
export interface AboutSource {
  readonly name: string;
  /** How long a new cookie is good for; null: until the browser is closed, or not known. */
  readonly cookieMaxAgeInSeconds: number | null;
  /** Its table beside the bridge's own, in which sessions can be counted. */
  readonly table: OldTable | null;
  /** False when the cookie itself carries the data. */
  readonly hasOldStore: boolean;
}

/** Reads what a process wrote, which may have been another version of this package. */
export function parseAbout(value: unknown): About {
  const about = isRecord(value) ? value : {};
  const sources = Array.isArray(about["sources"]) ? about["sources"].filter(isRecord) : [];
  const { signingKeys } = about;
  return {
    host: text(about["host"]),
    pid: number(about["pid"]) ?? 0,
    node: text(about["node"]),
    modeFrom: text(about["modeFrom"]) as ModeOrigin,
    cookieLingerInSeconds: number(about["cookieLingerInSeconds"]) ?? 0,
    poolMax: number(about["poolMax"]),
    isBehindProxy: about["isBehindProxy"] === true,
    ...(about["hasEnded"] === true && { hasEnded: true }),
    ...(about["servesRequests"] === false && { servesRequests: false }),
    signingKeys: Array.isArray(signingKeys) ? signingKeys.map(text) : [],
    sources: sources.map((source) => ({
      name: text(source["name"]),
      cookieMaxAgeInSeconds: number(source["cookieMaxAgeInSeconds"]),
      table: isTable(source["table"]) ? source["table"] : null,
      hasOldStore: source["hasOldStore"] !== false,
    })),
  };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null;
const text = (value: unknown) => (typeof value === "string" ? value : "");
const number = (value: unknown) => (typeof value === "number" ? value : null);

// These go into statements: nothing but quoted names and a known type may.
const quotedName = /^"(?:[^"]|"")+"(?:\."(?:[^"]|"")+")?$/;
const keyTypes: readonly unknown[] = ["uuid", "varchar"] satisfies OldTable["keyType"][];

function isTable(value: unknown): value is OldTable {
  if (!isRecord(value)) return false;
  const names = [value["name"], value["key"], value["value"], value["expires"]];
  return (
    names.every((name) => typeof name === "string" && quotedName.test(name)) &&
    keyTypes.includes(value["keyType"])
  );
}

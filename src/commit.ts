import { isDeepStrictEqual } from "node:util";

export type SessionData = Record<string, unknown>;

/** What a commit changes in a session, by top-level member. */
export interface Changes {
  readonly set: SessionData;
  readonly removed: string[];
  /** A new lifetime of its own; null goes back to the configured one; undefined leaves it. */
  readonly maxAgeInSeconds?: number | null | undefined;
}

/**
 * The first half of the three-way merge by top-level member: what one side changed since `base`. The
 * store applies it to whatever the data is by then, so members changed elsewhere stay, and of two
 * changes to the same member the later commit wins.
 */
export function changesBetween(base: SessionData, current: SessionData): Changes | undefined {
  const present = new Map(Object.entries(current).filter(([, value]) => value !== undefined));
  const changed = [...present].filter(
    ([name, value]) => !(Object.hasOwn(base, name) && isDeepStrictEqual(base[name], value)),
  );
  const set = Object.fromEntries(changed);
  const removed = Object.keys(base).filter((name) => !present.has(name));
  return removed.length > 0 || changed.length > 0 ? { set, removed } : undefined;
}

/** Parses session data; anything but an object (another writer's) counts as empty. */
export function parseData(json: string): SessionData {
  const value: unknown = JSON.parse(json);
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as SessionData)
    : {};
}

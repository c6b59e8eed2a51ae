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
  const set: SessionData = {};
  const removed = [];
  let hasChanged = false;
  for (const [name, value] of Object.entries(current)) {
    if (value === undefined || (Object.hasOwn(base, name) && isSame(base[name], value))) continue;
    setMember(set, name, value);
    hasChanged = true;
  }
  for (const name of Object.keys(base)) {
    if (!Object.hasOwn(current, name) || current[name] === undefined) removed.push(name);
  }
  return hasChanged || removed.length > 0 ? { set, removed } : undefined;
}

const isSame = (one: unknown, other: unknown): boolean =>
  typeof one === "object" && typeof other === "object"
    ? isDeepStrictEqual(one, other)
    : Object.is(one, other);

/** Sets a member of data; one of the name `__proto__` is data as well, as JSON has it. */
export function setMember(data: object, name: string, value: unknown): void {
  if (name === "__proto__")
    Object.defineProperty(data, name, {
      value,
      writable: true,
      enumerable: true,
      configurable: true,
    });
  else (data as SessionData)[name] = value;
}

/** Parses session data; anything but an object (another writer's) counts as empty. */
export function parseData(json: string): SessionData {
  const value: unknown = JSON.parse(json);
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as SessionData)
    : {};
}

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
  let set: SessionData | undefined;
  let removed: string[] | undefined;
  for (const name of Object.keys(current)) {
    const value = current[name];
    if (value === undefined || (Object.hasOwn(base, name) && isSame(base[name], value))) continue;
    setMember((set ??= {}), name, value);
  }
  for (const name of Object.keys(base)) {
    if (!Object.hasOwn(current, name) || current[name] === undefined) (removed ??= []).push(name);
  }
  if (set === undefined && removed === undefined) return undefined;
  return { set: set ?? {}, removed: removed ?? [] };
}

// What JSON is made of is compared here: on small data that takes a third of the time.
function isSame(one: unknown, other: unknown): boolean {
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) {
    return Object.is(one, other);
  }
  if (isPlainArray(one) && isPlainArray(other)) {
    // Unlike `every`, `some` and their like, `findIndex` looks at holes as well.
    return one.length === other.length && one.findIndex((each, at) => !isSame(each, other[at])) < 0;
  }
  if (!isPlain(one) || !isPlain(other)) return isDeepStrictEqual(one, other);
  const names = Object.keys(one);
  return (
    names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && isSame(one[name], other[name]))
  );
}

const isPlain = (value: object): value is SessionData =>
  Object.getPrototypeOf(value) === Object.prototype;

const isPlainArray = (value: object): value is unknown[] =>
  Object.getPrototypeOf(value) === Array.prototype;

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

/** Session data as it is stored: JSON, parsed once, when somebody looks at it. */
export class StoredData {
  readonly json: string;
  #value: SessionData | undefined;

  constructor(json: string) {
    this.json = json;
  }

  /** For all to see, and nobody to change. */
  get value(): Readonly<SessionData> {
    return (this.#value ??= parseData(this.json));
  }
}

/** A copy of what JSON can hold, as deep as it goes. */
export function copyOf<Value>(value: Value): Value {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(copyOf) as Value;
  const copy = {};
  for (const [name, member] of Object.entries(value)) setMember(copy, name, copyOf(member));
  return copy as Value;
}

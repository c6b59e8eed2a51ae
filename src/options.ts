/** Collects everything that is wrong with an options object, then throws it as one TypeError. */
export class OptionsReader {
  readonly #caller: string;
  readonly #problems: string[] = [];

  constructor(caller: string) {
    this.#caller = caller;
  }

  problem(path: string, message: string): void {
    this.#problems.push(`${path}: ${message}`);
  }

  /** Throws when any problem was noted. */
  finish(): void {
    const count = this.#problems.length;
    if (count === 0) return;
    const list = this.#problems.map((problem) => `\n  - ${problem}`).join("");
    throw new TypeError(`${this.#caller}: ${count} invalid option${count === 1 ? "" : "s"}${list}`);
  }

  /** The value as an object whose members are all known; an empty one when it is none. */
  object(path: string, value: unknown, known: readonly string[]): Record<string, unknown> {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      this.problem(path, `must be an object, got ${describe(value)}`);
      return {};
    }
    for (const name of Object.keys(value)) {
      if (!known.includes(name)) {
        const full = path === "options" ? name : `${path}.${name}`;
        this.problem(full, `unknown option; there are ${known.join(", ")}`);
      }
    }
    return { ...value };
  }

  optional<Value>(
    path: string,
    value: unknown,
    is: (value: unknown) => boolean,
    expected: string,
    fallback: Value,
  ): Value {
    if (value === undefined) return fallback;
    if (is(value)) return value as Value;
    this.problem(path, `must be ${expected}, got ${describe(value)}`);
    return fallback;
  }

  seconds(path: string, value: unknown, fallback: number): number {
    return this.optional(
      path,
      value,
      isLifetime,
      `a whole number of seconds from 1 to ${maximumLifetimeInSeconds}`,
      fallback,
    );
  }

  function<F>(path: string, value: unknown, fallback: F): F {
    return this.optional(path, value, isFunction, "a function", fallback);
  }

  boolean(path: string, value: unknown, fallback: boolean): boolean {
    return this.optional(path, value, (v) => typeof v === "boolean", "true or false", fallback);
  }

  string(path: string, value: unknown): string | undefined {
    return this.optional(path, value, isText, "a non-empty string", undefined);
  }
}

export const isFunction = (value: unknown) => typeof value === "function";
export const isText = (value: unknown) => typeof value === "string" && value !== "";
/** What fits PostgreSQL's integer: 68 years. */
export const maximumLifetimeInSeconds = 2 ** 31 - 1;
const isLifetime = (value: unknown) =>
  Number.isSafeInteger(value) &&
  (value as number) > 0 &&
  (value as number) <= maximumLifetimeInSeconds;

/** Says what kind of thing a value is, never the value: it may be a secret. */
export function describe(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (Array.isArray(value)) return "an array";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

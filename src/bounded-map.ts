/**
 * A map that forgets: of the entries set or looked up last, it keeps at least half of `maximum` (2 or more),
 * and never more than `maximum`. Each operation takes the same time, however many there are; deleting the
 * first key of a large Map does not.
 */
export class BoundedMap<Key, Value> {
  // With the keys that were set: an equal string to look up by may be part of a long one, and keep it alive.
  #young = new Map<Key, readonly [Key, Value]>();
  #old = new Map<Key, readonly [Key, Value]>();
  readonly #half: number;

  constructor(maximum: number) {
    this.#half = Math.floor(maximum / 2);
  }

  get(key: Key): Value | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young[1];
    const old = this.#old.get(key);
    if (old !== undefined) this.set(...old);
    return old?.[1];
  }

  set(key: Key, value: Value): void {
    if (this.#young.size >= this.#half) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, [key, value]);
  }

  delete(key: Key): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }
}

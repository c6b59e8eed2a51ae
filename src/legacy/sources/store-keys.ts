type Keys = Iterable<unknown> | AsyncIterable<unknown>;

/**
 * Lists the keys of an application's store, when it has the optional method `keys()`: an iterable of
 * them, an async one, or a promise of either. `isOurs` leaves out what others keep in the same store.
 */
export function keysOf(
  store: object,
  isOurs: (key: string) => boolean = () => true,
): (() => AsyncIterable<string>) | undefined {
  const { keys } = store as { keys?: (this: object) => Keys | Promise<Keys> };
  if (typeof keys !== "function") return undefined;
  return async function* () {
    for await (const key of await keys.call(store)) {
      if (typeof key === "string" && isOurs(key)) yield key;
    }
  };
}

/**
 * Turns look-ups of one key into look-ups of many: what is asked for within one turn of the event loop
 * is loaded by one call. Flushed by `setImmediate`, because requests arrive in one turn but resolve
 * their promises in different ticks of it.
 */
export function coalesce<Value>(
  load: (keys: string[]) => Promise<Map<string, Value>>,
): (key: string) => Promise<Value | undefined> {
  let waiting: Map<string, Promise<Value | undefined>> | undefined;
  let loaded: Promise<Map<string, Value>>;

  return (key) => {
    if (waiting === undefined) {
      const batch = (waiting = new Map<string, Promise<Value | undefined>>());
      loaded = new Promise((resolve, reject) => {
        setImmediate(() => {
          waiting = undefined;
          load([...batch.keys()]).then(resolve, reject);
        });
      });
    }
    let found = waiting.get(key);
    if (found === undefined) {
      found = loaded.then((values) => values.get(key));
      waiting.set(key, found);
    }
    return found;
  };
}

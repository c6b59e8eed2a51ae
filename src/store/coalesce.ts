// More would hold up the first of them, lock their rows for longer, and leave the process idle until they come.
const mostInBatch = 24;

/** What became of each item of a batch, in its order; some may take longer. */
type Results<Result> = (Result | Promise<Result>)[];

/**
 * Turns calls for one item into calls for many: what is asked for within one turn of the event loop is
 * carried out by one call. Flushed by `setImmediate`, because requests arrive in one turn but resolve their
 * promises in different ticks of it; and as soon as there are `most`, so that the database works on them
 * while the rest of the turn goes on.
 */
export function inBatches<Item, Result>(
  run: (items: Item[]) => Promise<Results<Result>>,
  most = mostInBatch,
): (item: Item) => Promise<Result> {
  let batch: { items: Item[]; results: Promise<Results<Result>>; flush: () => void } | undefined;

  function open() {
    const items: Item[] = [];
    let flush!: () => void;
    const results = new Promise<Results<Result>>((resolve, reject) => {
      const timer = setImmediate(() => {
        flush();
      });
      flush = () => {
        clearImmediate(timer);
        batch = undefined;
        run(items).then(resolve, reject);
      };
    });
    return { items, results, flush };
  }

  return (item) => {
    const { items, results, flush } = (batch ??= open());
    const index = items.push(item) - 1;
    if (items.length === most) flush();
    return results.then((all) => all[index] as Result);
  };
}

/** {@link inBatches} for look-ups by key: a key that is asked for twice in a batch is looked up once. */
export function coalesce<Value>(
  load: (keys: string[]) => Promise<Map<string, Value>>,
  most = mostInBatch,
): (key: string) => Promise<Value | undefined> {
  let asked = new Map<string, Promise<Value | undefined>>();
  const ask = inBatches(async (keys: string[]) => {
    // What is asked from now on may not be answered by what is read now.
    asked = new Map();
    const values = await load(keys);
    return keys.map((key) => values.get(key));
  }, most);

  return (key) => {
    const sameBatch = asked;
    let found = sameBatch.get(key);
    if (found === undefined) {
      found = ask(key);
      sameBatch.set(key, found);
    }
    return found;
  };
}

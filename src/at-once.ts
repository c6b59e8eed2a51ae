/** A value that may be there already: to wait for it all the same would cost each request a promise. */
export type AtOnce<Value> = Value | Promise<Value>;

/** Goes on with a value, at once if it is there. No value may have a member of the name `then`. */
export const goOn = <Value, Result>(
  value: AtOnce<Value>,
  next: (value: Value) => AtOnce<Result>,
): AtOnce<Result> => (isPromise(value) ? value.then(next) : next(value));

// Not by its class: an application may have put another one in the place of the global Promise.
const isPromise = <Value>(value: AtOnce<Value>): value is Promise<Value> =>
  typeof (value as { then?: unknown } | null | undefined)?.then === "function";

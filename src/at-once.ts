/** A value that may be there already: to wait for it all the same would cost each request a promise. */
export type AtOnce<Value> = Value | Promise<Value>;

/** Goes on with a value, at once if it is there. */
export const goOn = <Value, Result>(
  value: AtOnce<Value>,
  next: (value: Value) => AtOnce<Result>,
): AtOnce<Result> => (value instanceof Promise ? value.then(next) : next(value));

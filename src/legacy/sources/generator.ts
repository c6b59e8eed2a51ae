/**
 * What a store answers with: a value, a promise, or a generator that yields promises, thunks and
 * generators, as those of stores from before async functions do.
 */
export async function settled(answer: unknown): Promise<unknown> {
  if (!isGenerator(answer)) return answer;
  let step = answer.next();
  while (step.done !== true) {
    let given: unknown;
    try {
      given = await yielded(step.value);
    } catch (error) {
      step = answer.throw(error);
      continue;
    }
    step = answer.next(given);
  }
  return step.value;
}

type Thunk = (callback: (error: unknown, result?: unknown) => void) => void;

function yielded(value: unknown): Promise<unknown> {
  if (Array.isArray(value)) return Promise.all(value.map(yielded));
  if (typeof value !== "function") return settled(value);
  return new Promise((resolve, reject) => {
    (value as Thunk)((error, result) => {
      // A thunk may fail with whatever it likes.
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
      if (error) reject(error);
      else resolve(result);
    });
  });
}

function isGenerator(value: unknown): value is Generator {
  const { next, throw: raise } = Object(value) as Partial<Generator>;
  return typeof next === "function" && typeof raise === "function";
}

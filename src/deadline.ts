/** Rejects when the work has not answered after so long; the work itself goes on. */
export async function withDeadline<Value>(
  work: Promise<Value>,
  milliseconds: number,
): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no answer within ${milliseconds} ms`));
    }, milliseconds);
  });
  return Promise.race([work, deadline]).finally(() => {
    clearTimeout(timer);
  });
}

/**
 * A {@link withDeadline} for work that is tried again and again: rejects at once while `most` of its tries
 * have never been answered, so that they do not pile up.
 */
export function withDeadlineEach(
  most: number,
): <Value>(work: () => Promise<Value>, milliseconds: number) => Promise<Value> {
  let unanswered = 0;
  const answered = () => {
    unanswered -= 1;
  };
  return async (work, milliseconds) => {
    if (unanswered >= most) throw new Error(`no answer to ${unanswered} tries before this one`);
    unanswered += 1;
    const working = work();
    working.then(answered, answered);
    return withDeadline(working, milliseconds);
  };
}

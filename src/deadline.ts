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

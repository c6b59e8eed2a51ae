const windowInMilliseconds = 60_000;
const maximumMessages = 10;

/**
 * Passes errors on, each message once a minute and ten messages at most: what fails with every request
 * must be told, and must not fill the log.
 */
export function tellRarely(
  tell: (error: Error) => void,
  now: () => Date,
): (error: unknown) => void {
  let told = new Set<string>();
  let since = now().getTime();
  return (error) => {
    const time = now().getTime();
    // Either way: a clock may be set back.
    if (Math.abs(time - since) >= windowInMilliseconds) {
      told = new Set();
      since = time;
    }
    const message = String(error);
    if (told.has(message) || told.size >= maximumMessages) return;
    told.add(message);
    tell(error instanceof Error ? error : new Error(message));
  };
}

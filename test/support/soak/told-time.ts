// The time of a simulated month, in a process whose old store and old middleware know no other clock than
// Date. Import it before anything else. The start is in TOLD_TIME, in milliseconds.
const RealDate = Date;
let now = Number(process.env["TOLD_TIME"]);

globalThis.Date = class extends RealDate {
  constructor(...values: unknown[]) {
    super(...((values.length === 0 ? [now] : values) as []));
  }

  static override now(): number {
    return now;
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof RealDate;
  }
} as DateConstructor;

/** Moves the time on; it never goes back. */
export function tellTime(milliseconds: number): void {
  if (milliseconds > now) now = milliseconds;
}

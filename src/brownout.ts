import { createHash } from "node:crypto";

/** A time in which some requests with a legacy cookie are served as in mode `tokens`. */
export interface Brownout {
  /** Decides, with the key, whom it meets: another brownout meets others. */
  readonly id: string;
  /** How many of the legacy keys it meets: above 0, at most 1. */
  readonly share: number;
  /** With `forInSeconds`: it comes again and again, each time meeting others. */
  readonly everyInSeconds: number | null;
  readonly forInSeconds: number | null;
  readonly startsAt: Date;
  readonly until: Date | null;
}

/** Reads a brownout as it was stored; undefined for anything else. */
export function parseBrownout(stored: unknown): Brownout | undefined {
  if (typeof stored !== "object" || stored === null) return undefined;
  const { id, share, everyInSeconds, forInSeconds, startsAt, until } = stored as Record<
    string,
    unknown
  >;
  const start = new Date(String(startsAt));
  const isShare = typeof share === "number" && share > 0 && share <= 1;
  const end = until == null ? null : new Date(typeof until === "string" ? until : Number.NaN);
  // Of what is not understood, nothing is refused.
  const isTime = !Number.isNaN(start.getTime()) && !Number.isNaN(end?.getTime());
  if (typeof id !== "string" || !isShare || !isTime) return undefined;
  return {
    id,
    share,
    everyInSeconds: isPositive(everyInSeconds) ? everyInSeconds : null,
    forInSeconds: isPositive(forInSeconds) ? forInSeconds : null,
    startsAt: start,
    until: end,
  };
}

const isPositive = (value: unknown): value is number => typeof value === "number" && value > 0;

/** Which of its windows a time is in, from 0; undefined between them, before and after. */
export function windowAt(
  { everyInSeconds, forInSeconds, startsAt, until }: Brownout,
  now: Date,
): number | undefined {
  const elapsed = (now.getTime() - startsAt.getTime()) / 1000;
  if (elapsed < 0 || (until !== null && now >= until)) return undefined;
  if (everyInSeconds === null || forInSeconds === null) return 0;
  return elapsed % everyInSeconds < forInSeconds ? Math.floor(elapsed / everyInSeconds) : undefined;
}

/** The share of the legacy keys that a brownout meets at this time; 0 where there is none. */
export function shareAt(brownout: Brownout | undefined, now: Date): number {
  return brownout !== undefined && windowAt(brownout, now) !== undefined ? brownout.share : 0;
}

/**
 * Whether a brownout meets a legacy key at this time: the same answer for the same key, in every process,
 * until the window is over.
 *
 * @param key hash of the legacy key
 */
export function meets(brownout: Brownout, key: Buffer, now: Date): boolean {
  const window = windowAt(brownout, now);
  if (window === undefined) return false;
  if (brownout.share === 1) return true;
  const drawn = createHash("sha256").update(`${brownout.id} ${window} `).update(key).digest();
  return drawn.readUInt32BE(0) / 2 ** 32 < brownout.share;
}

/** When a brownout goes on or off next; null when it never does again. */
export function nextChange(brownout: Brownout, now: Date): Date | null {
  const { everyInSeconds, forInSeconds, startsAt, until } = brownout;
  if (until !== null && now >= until) return null;
  if (now < startsAt) return startsAt;
  if (everyInSeconds === null || forInSeconds === null) return until;
  const isOn = windowAt(brownout, now) !== undefined;
  const begun = Math.floor((now.getTime() - startsAt.getTime()) / 1000 / everyInSeconds);
  const after = begun * everyInSeconds + (isOn ? forInSeconds : everyInSeconds);
  const next = new Date(startsAt.getTime() + after * 1000);
  if (until === null || next < until) return next;
  return isOn ? until : null;
}

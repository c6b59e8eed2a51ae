import type { Mode } from "../mode.js";
import type { DayStatus, SourceStatus, Verdict } from "./migration-status.js";

/** What a verdict is made from. */
export interface Facts {
  readonly now: Date;
  readonly mode: Mode;
  /** Of the processes that are alive. */
  readonly modes: readonly string[];
  /** The oldest first; the last one is today. */
  readonly days: readonly DayStatus[];
  readonly sources: readonly SourceStatus[];
  /** The last day on which new cookies were given out, as far as was counted. */
  readonly cookiesGivenOn: string | null;
  readonly droppedLately: number;
}

/** Clients count as moved when fewer of their requests than this come by cookie alone, over a week. */
export const drainBelowShare = 0.01;
export const lookBackInDays = 7;
/** How long a cookie counts whose end nobody knows. */
export const forgottenAfterDays = 30;

const millisecondsPerDay = 24 * 60 * 60 * 1000;
const dateOf = (date: Date) => date.toISOString().slice(0, 10);
const plural = (count: number, one: string, many = `${one}s`) =>
  `${count.toLocaleString("en-US")} ${count === 1 ? one : many}`;

export function judge(facts: Facts): Verdict {
  const modes = [...new Set(facts.modes)];
  if (modes.length > 1) {
    const several = `the processes are in different modes: ${modes.sort().join(", ")}`;
    return { answer: "not yet", reasons: [several], estimatedAt: null };
  }
  switch (facts.mode) {
    case "observe":
      return {
        answer: "not yet",
        reasons: ["in mode observe no client is offered tokens: flip to bridge first"],
        estimatedAt: null,
      };
    case "bridge":
      return judgeDrain(facts);
    case "drain":
      return judgeDrop(facts);
    case "tokens": {
      const dropped = plural(facts.droppedLately, "cookie was", "cookies were");
      return {
        answer: "safe to drop",
        reasons: [`cookies are refused already; ${dropped} in the last ${lookBackInDays} days`],
        estimatedAt: null,
      };
    }
  }
}

function judgeDrain({ days, now }: Facts): Verdict {
  const recent = days.slice(-lookBackInDays);
  const sum = (of: (day: DayStatus) => number) => recent.reduce((total, day) => total + of(day), 0);
  const legacy = sum((day) => day.legacy);
  const bearer = sum((day) => day.bearer);
  const lately = `in the last ${lookBackInDays} days`;
  if (legacy + bearer === 0) {
    const reasons = [`no request with a session has been counted ${lately}`];
    return { answer: "not yet", reasons, estimatedAt: null };
  }
  const share = legacy / (legacy + bearer);
  const percent = share > 0 && share < 0.0001 ? "under 0.01" : (share * 100).toFixed(2);
  const told = `${percent} % of the requests with a session came by cookie alone ${lately} (${plural(legacy, "hit")})`;
  const limit = `${drainBelowShare * 100} %`;
  if (share < drainBelowShare) {
    return { answer: "safe to drain", reasons: [`${told}, under ${limit}`], estimatedAt: null };
  }
  const reasons = [`${told}: clients that take no tokens could not log in any more`];
  return { answer: "not yet", reasons, estimatedAt: declineBelow(drainBelowShare, days, now) };
}

function judgeDrop({ sources, cookiesGivenOn, now }: Facts): Verdict {
  const reasons: string[] = [];
  let last: Date | null = null;
  let isEndKnown = true;
  const until = (date: Date | null) => {
    if (date === null) isEndKnown = false;
    else if (last === null || date > last) last = date;
  };
  for (const source of sources) {
    const { name, remaining, withoutExpiry, notUpgraded, lastExpiresAt } = source;
    if (remaining > 0) {
      const end = withoutExpiry > 0 ? null : lastExpiresAt;
      reasons.push(
        `${name}: ${plural(remaining, "session is", "sessions are")} opened by a cookie alone`,
      );
      until(end);
    }
    if (notUpgraded !== null && notUpgraded.count > 0) {
      const sessions = plural(notUpgraded.count, "session has", "sessions have");
      reasons.push(`${name}: ${sessions} not come back since the bridge is there`);
      until(notUpgraded.lastExpiresAt);
    }
    if (notUpgraded !== null) continue;
    const end = unseenUntil(source, cookiesGivenOn);
    if (end !== null && end > now) {
      reasons.push(
        `${name}: its sessions cannot be counted, and cookies given until ${cookiesGivenOn} may come until ${dateOf(end)}`,
      );
      until(end);
    }
  }
  if (reasons.length > 0) {
    return { answer: "not yet", reasons, estimatedAt: isEndKnown ? last : null };
  }
  const adopted = sources.reduce((total, source) => total + source.adopted, 0);
  const all = `no live session is opened by a cookie alone (${plural(adopted, "session")} adopted)`;
  return { answer: "safe to drop", reasons: [all], estimatedAt: null };
}

/** Until when a cookie may come of which nothing has been seen; null when none can. */
export function unseenUntil(
  { cookieMaxAgeInSeconds }: Pick<SourceStatus, "cookieMaxAgeInSeconds">,
  cookiesGivenOn: string | null,
): Date | null {
  if (cookiesGivenOn === null) return null;
  const given = new Date(`${cookiesGivenOn}T00:00:00Z`).getTime() + millisecondsPerDay;
  const lifetime =
    cookieMaxAgeInSeconds === null
      ? forgottenAfterDays * millisecondsPerDay
      : cookieMaxAgeInSeconds * 1000;
  return new Date(given + lifetime);
}

// The share of cookies falls by about the same factor each day: a line through its logarithm.
function declineBelow(limit: number, days: readonly DayStatus[], now: Date): Date | null {
  const points = days
    .slice(-2 * lookBackInDays)
    .map(({ legacy, bearer }, index) => ({ x: index, share: legacy / (legacy + bearer) }))
    .filter(({ share }) => share > 0)
    .map(({ x, share }) => ({ x, y: Math.log(share) }));
  if (points.length < 3) return null;
  const mean = (of: (point: { x: number; y: number }) => number) =>
    points.reduce((total, point) => total + of(point), 0) / points.length;
  const [x, y] = [mean((point) => point.x), mean((point) => point.y)];
  const slope =
    mean((point) => (point.x - x) * (point.y - y)) / mean((point) => (point.x - x) ** 2);
  if (!(slope < 0)) return null;
  const today = Math.min(2 * lookBackInDays, days.length) - 1;
  const ahead = x + (Math.log(limit) - y) / slope - today;
  // The week that is looked at still holds the days before.
  const wait = Math.max(ahead, 1) + lookBackInDays / 2;
  return wait > 3650 ? null : new Date(now.getTime() + wait * millisecondsPerDay);
}

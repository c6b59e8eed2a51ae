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
  /** The last day on which cookies were given out or renewed; null when nothing tells. */
  readonly cookiesGivenOn: string | null;
  /** A process takes its mode from a function, which may give each request another one. */
  readonly isByRequest?: boolean;
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
  const modes = [...new Set(facts.modes)].sort();
  if (modes.length > 1) {
    return notYet(
      `the processes are in different modes (${modes.join(", ")}): wait until all follow, or see which do not`,
    );
  }
  switch (facts.mode) {
    case "observe":
      return notYet("in mode observe no client is offered tokens: go to bridge first");
    case "bridge":
      return judgeDrain(facts);
    case "drain":
      if (facts.isByRequest === true && facts.cookiesGivenOn === dateOf(facts.now))
        return notYet(
          "some requests of today were in observe or bridge: cookies are still given out",
        );
      return judgeDrop(facts);
    case "tokens": {
      const count = sumLately(facts.days, ({ dropped }) => dropped);
      const dropped = plural(count, "cookie was", "cookies were");
      const told = `cookies are refused already; ${dropped} dropped in the last ${lookBackInDays} days`;
      return { answer: "safe to drop", reasons: [told], estimatedAt: null };
    }
  }
}

const notYet = (reason: string, estimatedAt: Date | null = null): Verdict => ({
  answer: "not yet",
  reasons: [reason],
  estimatedAt,
});

const sumLately = (days: readonly DayStatus[], of: (day: DayStatus) => number) =>
  days.slice(-lookBackInDays).reduce((total, day) => total + of(day), 0);

function judgeDrain({ days, now }: Facts): Verdict {
  const legacy = sumLately(days, (day) => day.legacy);
  const bearer = sumLately(days, (day) => day.bearer);
  const lately = `in the last ${lookBackInDays} days`;
  if (legacy + bearer === 0) {
    return notYet(`no request with a session has been counted ${lately}`);
  }
  const share = legacy / (legacy + bearer);
  const percent = share > 0 && share < 0.0001 ? "under 0.01" : (share * 100).toFixed(2);
  const told = `${percent} % of the requests with a session came by cookie alone ${lately} (${plural(legacy, "request")})`;
  if (share >= drainBelowShare) {
    const reason = `${told}: clients that take no tokens could not log in any more`;
    return notYet(reason, declineBelow(drainBelowShare, days, now));
  }
  const counted = days.length - days.findIndex((day) => day.legacy + day.bearer > 0);
  if (counted < lookBackInDays) {
    const since = days.at(-counted)?.day;
    const ready = new Date(now.getTime() + (lookBackInDays - counted) * millisecondsPerDay);
    const reason = `requests have been counted since ${since} only: who comes once a week has not been seen`;
    return notYet(reason, ready);
  }
  const limit = `${drainBelowShare * 100} %`;
  return { answer: "safe to drain", reasons: [`${told}, under ${limit}`], estimatedAt: null };
}

function judgeDrop({ sources, cookiesGivenOn, days, now }: Facts): Verdict {
  if (sources.length === 0) {
    return notYet("no process has told of its old session systems yet: start the application");
  }
  const reasons: string[] = [];
  const ends: (Date | null)[] = [];
  for (const source of sources) {
    const { name, remaining, withoutExpiry, notUpgraded, lastExpiresAt } = source;
    if (remaining > 0) {
      const ofThem =
        withoutExpiry > 0
          ? `; ${withoutExpiry.toLocaleString("en-US")} of these cookies have no known end and count until ${forgottenAfterDays} days after their last use`
          : "";
      reasons.push(
        `${name}: ${plural(remaining, "session is", "sessions are")} opened by a cookie alone${ofThem}`,
      );
      ends.push(withoutExpiry > 0 ? null : lastExpiresAt);
    }
    if (notUpgraded !== null) {
      if (notUpgraded.count === 0) continue;
      const sessions = plural(notUpgraded.count, "session has", "sessions have");
      reasons.push(`${name}: ${sessions} not come back since the bridge is in place`);
      ends.push(notUpgraded.lastExpiresAt);
      continue;
    }
    const end = unseenUntil(source, cookiesGivenOn, days);
    if (end === null) {
      reasons.push(
        `${name}: sessions that have not come back cannot be counted, and no request has been counted that tells until when cookies were given`,
      );
      ends.push(null);
    } else if (end > now) {
      const assumed =
        source.cookieMaxAgeInSeconds === null
          ? ` (of cookies without a known end ${forgottenAfterDays} days since their last use are assumed)`
          : "";
      reasons.push(
        `${name}: sessions that have not come back cannot be counted; cookies given until ${cookiesGivenOn} may come until ${dateOf(end)}${assumed}`,
      );
      ends.push(end);
    }
  }
  if (reasons.length > 0) {
    const known = ends.filter((end) => end !== null).map((end) => end.getTime());
    const estimatedAt = known.length === ends.length ? new Date(Math.max(...known)) : null;
    return { answer: "not yet", reasons, estimatedAt };
  }
  const adopted = sources.reduce((total, source) => total + source.adopted, 0);
  const all = `no live session is opened by a cookie alone (${plural(adopted, "session")} adopted)`;
  return { answer: "safe to drop", reasons: [all], estimatedAt: null };
}

/** Until when a cookie may come of which nothing has been seen; null when nothing tells. */
export function unseenUntil(
  { name, cookieMaxAgeInSeconds }: Pick<SourceStatus, "name" | "cookieMaxAgeInSeconds">,
  cookiesGivenOn: string | null,
  days: readonly DayStatus[],
): Date | null {
  if (cookiesGivenOn === null) return null;
  const after = (day: string, ms: number) =>
    new Date(new Date(`${day}T00:00:00Z`).getTime() + millisecondsPerDay + ms);
  if (cookieMaxAgeInSeconds !== null) return after(cookiesGivenOn, cookieMaxAgeInSeconds * 1000);
  // One that cannot be upgraded may be in use every day, and never end.
  const usedOn = days.findLast(({ hits }) => (hits[name] ?? 0) > 0)?.day ?? cookiesGivenOn;
  const last = usedOn > cookiesGivenOn ? usedOn : cookiesGivenOn;
  return after(last, forgottenAfterDays * millisecondsPerDay);
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

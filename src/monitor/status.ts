import { parseBrownout, windowAt } from "../brownout.js";
import type { BridgeError } from "../errors.js";
import { defaultMode, isMode, type Mode } from "../mode.js";
import type { Database } from "../store/database.js";
import { type ModeChange, readModeChanges } from "../store/mode-log.js";
import type { OldTable } from "../store/old-table.js";
import {
  countUnlinked,
  type DayCount,
  type FleetProcess,
  readDayCounts,
  readFleet,
  readLastCookieDay,
  readLinkedSessions,
  readStragglers,
} from "../store/read-status.js";
import { type AboutSource, parseAbout } from "./about.js";
import type { DayStatus, MigrationStatus, ProcessStatus } from "./migration-status.js";
import { forgottenAfterDays, judge, lookBackInDays, unseenUntil } from "./verdict.js";

const statusDays = 30;
const stragglerLimit = 20;
const changeLimit = 20;
/** For how long a process counts as alive that has not been heard of. */
export const aliveForInSeconds = 90;
const rememberedForInSeconds = 24 * 60 * 60;
const secondsPerDay = 24 * 60 * 60;
const millisecondsPerDay = secondsPerDay * 1000;
const outcomes = ["hit", "missed", "unverified", "retired", "redundant", "dropped"] as const;
const credentials = ["bearer", "legacy", "none", "invalid", "refresh"] as const;

/**
 * Reads the status from PostgreSQL.
 *
 * @param own the sources of the bridge that asks; without it, those that a process of the fleet told of
 * @param ownMode its mode, where that does not come from PostgreSQL: holds while no process serves requests
 * @throws BridgeError `store-unavailable` or `schema-missing`
 */
export async function readMigrationStatus(
  db: Database,
  own?: readonly AboutSource[],
  ownMode?: Mode,
): Promise<MigrationStatus> {
  const at = db.now();
  const today = at.toISOString().slice(0, 10);
  const [counts, stragglers, linked, fleet, changes, cookiesGivenOn] = await Promise.all([
    readDayCounts(db, today, statusDays),
    readStragglers(db, today, lookBackInDays, stragglerLimit),
    readLinkedSessions(db, forgottenAfterDays),
    readFleet(db, rememberedForInSeconds),
    readModeChanges(db, changeLimit),
    readLastCookieDay(db),
  ]);
  const processes = fleet.map(toProcess).filter((process) => isAlive(process, at));
  const known = own ?? sourcesOf(fleet, at);
  const days = daysOf(counts, at);
  const sources = await Promise.all(
    namesOf(known, linked, counts).map(async (name) => {
      const about = known.find((source) => source.name === name);
      const table = about?.table ?? null;
      const none = {
        live: 0,
        adopted: 0,
        remaining: 0,
        withoutExpiry: 0,
        lastExpiresAt: null,
        longestOwnMaxAgeInSeconds: null,
      };
      const {
        source: _,
        longestOwnMaxAgeInSeconds: own,
        ...sessions
      } = linked.find(({ source }) => source === name) ?? {
        source: name,
        ...none,
      };
      return {
        name,
        ...sessions,
        notUpgraded: table && (await countReadable(db, name, table)),
        cookieMaxAgeInSeconds: longest(about?.cookieMaxAgeInSeconds ?? null, own),
      };
    }),
  );
  // A function may give each request another mode, and the latest one says nothing of the others.
  const steady = processes.filter(({ modeFrom }) => modeFrom !== "function");
  const isByRequest = steady.length < processes.length;
  const modes = (steady.length > 0 ? steady : processes.slice(-1)).map(({ mode }) => mode);
  const mode = modeOf([modes.at(-1), ownMode, changes[0]?.mode]);
  const sum = sumsOf(counts);
  const ends = sources.flatMap(({ lastExpiresAt, notUpgraded, ...source }) => [
    lastExpiresAt,
    notUpgraded === null ? unseenUntil(source, cookiesGivenOn, days) : notUpgraded.lastExpiresAt,
  ]);
  return {
    at,
    mode,
    changes,
    brownout: brownoutOf(changes[0], at),
    processes,
    days,
    legacyCookies: Object.fromEntries(
      sources.map(({ name }) => [name, fill(outcomes, sum("legacy_cookies", name))]),
    ),
    brownouts: Object.fromEntries(sources.map(({ name }) => [name, total(sum("brownouts", name))])),
    requests: fill(credentials, sum("requests")),
    upgraded: total(sum("upgrades")),
    offered: total(sum("offers")),
    adopted: total(sum("adoptions")),
    refreshes: sum("refreshes"),
    tokensRefused: sum("refused_tokens"),
    refusals: sum("refusals"),
    merged: total(sum("merged_commits")),
    errors: total(sum("errors")),
    sources,
    stragglers,
    lastCookieExpiresAt: latest(ends.filter((end): end is Date => end !== null && end > at)),
    verdict: judge({
      now: at,
      mode,
      modes,
      days,
      sources,
      cookiesGivenOn,
      isByRequest,
    }),
  };
}

// "Remember me" makes cookies that outlive those of the configuration. One without a known end counts for a
// number of days, and only a longer lifetime says more.
function longest(configured: number | null, own: number | null): number | null {
  const known = configured ?? forgottenAfterDays * secondsPerDay;
  return own !== null && own > known ? own : configured;
}

// Who runs the command line may have no right to the application's own table.
async function countReadable(db: Database, name: string, table: OldTable) {
  try {
    return await countUnlinked(db, name, table);
  } catch (error) {
    const { code } = error as BridgeError;
    if (code === "store-misconfigured" || code === "schema-missing") return null;
    throw error;
  }
}

/** The processes that serve requests now. One round trip. */
export async function readLiveProcesses(db: Database): Promise<ProcessStatus[]> {
  const fleet = await readFleet(db, aliveForInSeconds);
  return fleet.map(toProcess).filter((process) => isAlive(process, db.now()));
}

/** The process that has told of itself last, in the last 30 days. One round trip. */
export async function readNewestProcess(db: Database): Promise<ProcessStatus | undefined> {
  const last = newest(await readFleet(db, 30 * rememberedForInSeconds));
  return last && toProcess(last);
}

/**
 * The old session systems of the processes that are alive; where none is, of the one that has told of itself
 * last in the last 30 days. One round trip.
 */
export async function readKnownSources(db: Database): Promise<AboutSource[]> {
  return sourcesOf(await readFleet(db, 30 * rememberedForInSeconds), db.now());
}

// The processes need not have the same: a deployment is under way, or two applications share the database.
function sourcesOf(fleet: readonly FleetProcess[], now: Date): AboutSource[] {
  const alive = fleet.filter((process) => isAlive(toProcess(process), now));
  const telling = alive.length > 0 ? alive : [newest(fleet)];
  const told = telling.flatMap((process) => toProcess(process).sources);
  // Of the same one, the process that was started last knows best.
  const keyOf = ({ name, table }: AboutSource) => JSON.stringify([name, table?.name]);
  return [...new Map(told.map((source) => [keyOf(source), source])).values()];
}

/** Whether a process has been seen lately, serves requests, and has not said that it ends. */
const isAlive = ({ seenAt, hasEnded, servesRequests }: ProcessStatus, now: Date): boolean =>
  hasEnded !== true &&
  servesRequests !== false &&
  now.getTime() - seenAt.getTime() < aliveForInSeconds * 1000;

function toProcess(process: FleetProcess | undefined): ProcessStatus {
  const epoch = new Date(0);
  const { id = "", mode = "", about, startedAt = epoch, seenAt = epoch } = process ?? {};
  return { ...parseAbout(about), id, mode, startedAt, seenAt };
}

const newest = (fleet: readonly FleetProcess[]) =>
  fleet.toSorted((a, b) => a.seenAt.getTime() - b.seenAt.getTime()).at(-1);

const modeOf = (candidates: readonly unknown[]): Mode => candidates.find(isMode) ?? defaultMode;

function brownoutOf(change: ModeChange | undefined, at: Date): MigrationStatus["brownout"] {
  const brownout = parseBrownout(change?.brownout);
  if (brownout === undefined || (brownout.until !== null && brownout.until <= at)) return null;
  return { ...brownout, isOn: windowAt(brownout, at) !== undefined };
}

function namesOf(
  known: readonly AboutSource[],
  linked: readonly { source: string }[],
  counts: readonly DayCount[],
): string[] {
  const counted = counts.filter(({ counter }) => counter === "legacy_cookies");
  const names = [
    ...known.map(({ name }) => name),
    ...linked.map(({ source }) => source),
    ...counted.map(({ source }) => source),
  ];
  return [...new Set(names)];
}

function daysOf(counts: readonly DayCount[], at: Date): DayStatus[] {
  return Array.from({ length: statusDays }, (_, index) => {
    const age = statusDays - 1 - index;
    const day = new Date(at.getTime() - age * millisecondsPerDay).toISOString().slice(0, 10);
    const ofDay = counts.filter((count) => count.day === day);
    const sum = sumsOf(ofDay);
    const hits: Record<string, number> = {};
    for (const { counter, source, outcome, count } of ofDay) {
      const isHit = counter === "legacy_cookies" && outcome === "hit";
      if (isHit || counter === "brownouts") hits[source] = (hits[source] ?? 0) + count;
    }
    return {
      day,
      hits,
      legacy: total(hits),
      bearer: sum("requests")["bearer"] ?? 0,
      dropped: sum("legacy_cookies")["dropped"] ?? 0,
    };
  });
}

/** Sums the counts of a counter, by outcome; of one source, when it is named. */
function sumsOf(counts: readonly DayCount[]) {
  return (counter: string, source?: string): Record<string, number> => {
    const sums: Record<string, number> = {};
    for (const each of counts) {
      if (each.counter !== counter || (source !== undefined && each.source !== source)) continue;
      sums[each.outcome] = (sums[each.outcome] ?? 0) + each.count;
    }
    return sums;
  };
}

const total = (sums: Record<string, number>) =>
  Object.values(sums).reduce((sum, count) => sum + count, 0);

const fill = <Name extends string>(names: readonly Name[], sums: Record<string, number>) =>
  Object.fromEntries(names.map((name) => [name, sums[name] ?? 0])) as Record<Name, number>;

const latest = (dates: readonly Date[]): Date | null =>
  dates.length === 0 ? null : new Date(Math.max(...dates.map((date) => date.getTime())));

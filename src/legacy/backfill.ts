import { BridgeError } from "../errors.js";
import type { Mode } from "../mode.js";
import { aliveForInSeconds, readLiveProcesses } from "../monitor/status.js";
import { isFunction, OptionsReader } from "../options.js";
import type { OldTable } from "../store/old-table.js";
import { type BackfillOutcome, upgradeBatch } from "./backfill-batch.js";
import type { LegacyEnvironment } from "./environment.js";
import { type OldSessions, oldSessionsOf } from "./old-sessions.js";
import { createPace } from "./pace.js";
import type { LegacySource } from "./source.js";

/** What became of the sessions of one old system. */
export interface BackfillCounts {
  /** Live sessions that were not upgraded when the backfill began. */
  readonly found: number;
  readonly upgraded: number;
  /** Somebody else upgraded or ended them in the meantime. */
  readonly already: number;
  /** They ended, or expired, before they were upgraded. */
  readonly gone: number;
  /** Each is told by the event `error`. They stay as they are; a request, or another backfill, tries again. */
  readonly failed: number;
  /** Values in the old store that are no sessions. */
  readonly notUpgradable: number;
}

/** By the source's name; for one whose sessions nobody can list, why. */
export type BackfillResult = Readonly<
  Record<string, BackfillCounts | "data-in-cookies" | "not-listable">
>;

export interface BackfillOptions {
  /** How many sessions are upgraded in a second at most. Default 500. */
  ratePerSecond?: number;
  /** How many statements are under way at once at most. Default 4. */
  concurrency?: number;
  /** Stops at the next safe point; what is done stays done. */
  signal?: AbortSignal;
  /** Told now and then how far it is. */
  onProgress?: (soFar: BackfillResult) => void;
  /** The name of the one source to upgrade. Default: all of them. */
  source?: string;
  /** Only count. Default false. */
  isDryRun?: boolean;
}

/** Upgrades the sessions of the old stores ahead of their next request. */
export type Backfill = (options?: BackfillOptions) => Promise<BackfillResult>;

type Counts = { -readonly [Name in keyof BackfillCounts]: number };

const largestBatch = 100;
// At a low rate, a batch is what is due in this time.
const batchesPerSecond = 10;
const modeIsFreshForMs = 2000;
const names = ["ratePerSecond", "concurrency", "signal", "onProgress", "source", "isDryRun"];

/**
 * @param tables those beside the bridge's own, by the source's name
 * @param readMode the flag's mode as it is now
 */
export function createBackfill(
  env: LegacyEnvironment,
  sources: readonly LegacySource[],
  tables: ReadonlyMap<string, OldTable>,
  readMode: () => Promise<Mode>,
): Backfill {
  const { db } = env.store;

  return async (options = {}) => {
    const { ratePerSecond, concurrency, signal, onProgress, chosen, isDryRun } = read(options);
    const refuseObserve = observeRefuser(env, readMode);
    if (!isDryRun) await refuseObserve();
    const result: Record<string, Counts | Exclude<BackfillResult[string], object>> = {};
    const work: { source: LegacySource; sessions: OldSessions; counts: Counts }[] = [];
    for (const source of chosen) {
      const sessions = oldSessionsOf(db, source, tables.get(source.name));
      const counts = sessions && { ...none, found: await sessions.count() };
      const unlisted = source.oldStore === undefined ? "data-in-cookies" : "not-listable";
      result[source.name] = counts ?? unlisted;
      if (sessions && counts) work.push({ source, sessions, counts });
    }
    const progress = () => onProgress?.(structuredClone(result));
    progress();
    if (isDryRun) return result;
    const pace = createPace(ratePerSecond, signal);
    const batchSize = Math.min(Math.ceil(ratePerSecond / batchesPerSecond), largestBatch);
    for (const { source, sessions, counts } of work) {
      const batches = batchesOf(sessions.unlinked(), batchSize);
      await inParallel(batches, concurrency, signal, async (keys) => {
        await pace(keys.length);
        await refuseObserve();
        if (signal?.aborted === true) return;
        const outcomes = await upgradeBatch(env, source, sessions, keys);
        for (const outcome of outcomes) counts[outcome] += 1;
        progress();
      });
    }
    return result;
  };

  function read(options: BackfillOptions) {
    const reader = new OptionsReader("bridge.backfill");
    const raw = reader.object("options", options, names);
    const known = sources.map(({ name }) => name);
    const parsed = {
      ratePerSecond: reader.optional(
        "ratePerSecond",
        raw["ratePerSecond"],
        (value) => Number.isFinite(value) && (value as number) > 0,
        "a number above 0",
        500,
      ),
      concurrency: reader.optional(
        "concurrency",
        raw["concurrency"],
        (value) => Number.isSafeInteger(value) && (value as number) > 0,
        "a whole number above 0",
        4,
      ),
      signal: reader.optional<AbortSignal | undefined>(
        "signal",
        raw["signal"],
        (value) => value instanceof AbortSignal,
        "an AbortSignal",
        undefined,
      ),
      onProgress: reader.optional<BackfillOptions["onProgress"]>(
        "onProgress",
        raw["onProgress"],
        isFunction,
        "a function",
        undefined,
      ),
      isDryRun: reader.boolean("isDryRun", raw["isDryRun"], false),
      chosen: sources.filter(({ name }) => raw["source"] === undefined || name === raw["source"]),
    };
    if (parsed.chosen.length === 0) {
      reader.problem("source", `must be one of ${known.join(", ")}`);
    }
    reader.finish();
    return parsed;
  }
}

const none: Record<BackfillOutcome, number> = {
  upgraded: 0,
  already: 0,
  gone: 0,
  failed: 0,
  notUpgradable: 0,
};

// A process in `observe` would go on to change the old store alone.
function observeRefuser(env: LegacyEnvironment, readMode: () => Promise<Mode>) {
  const { db } = env.store;
  let askedAt = -Infinity;
  return async () => {
    if (performance.now() - askedAt < modeIsFreshForMs) return;
    askedAt = performance.now();
    if ((await readMode()) === "observe") {
      const cause = new Error("This process is in mode observe: bring the flag to bridge first.");
      throw new BridgeError("issuing-disabled", { cause });
    }
    const observing = (await readLiveProcesses(db)).find(({ mode }) => mode === "observe");
    if (observing === undefined) return;
    const { host, pid, seenAt } = observing;
    const cause = new Error(
      `Process ${pid} on ${host} is in mode observe, or was until ${seenAt.toISOString()}: bring all processes to bridge, and wait ${aliveForInSeconds} seconds for those that were killed.`,
    );
    throw new BridgeError("issuing-disabled", { cause });
  };
}

async function* batchesOf(
  pages: AsyncIterable<readonly string[]>,
  size: number,
): AsyncGenerator<readonly string[]> {
  for await (const page of pages) {
    for (let at = 0; at < page.length; at += size) yield page.slice(at, at + size);
  }
}

/** Stops at the first failure, and rejects with it when what is under way is done. */
async function inParallel<Item>(
  items: AsyncGenerator<Item>,
  concurrency: number,
  signal: AbortSignal | undefined,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  let failure: { readonly error: unknown } | undefined;
  async function run(): Promise<void> {
    while (failure === undefined && signal?.aborted !== true) {
      try {
        const next = await items.next();
        if (next.done === true) return;
        await work(next.value);
      } catch (error) {
        failure ??= { error };
      }
    }
  }
  await Promise.all(Array.from({ length: concurrency }, run));
  await items.return(undefined);
  if (failure !== undefined) throw failure.error;
}

import { withDeadline, withDeadlineEach } from "../deadline.js";
import { BridgeError } from "../errors.js";
import { connectionsOf, type Database } from "../store/database.js";
import { addToHits, type Hit, type LabelValue } from "../store/hits.js";
import { type Counted, counters } from "./counters.js";
import type { Labels } from "./labels.js";

/** How often counts are added to those in the database: what a process loses at most when it is killed. */
export const flushIntervalInSeconds = 3;
const heartbeatInSeconds = 30;
const flushDeadlineInMilliseconds = 5000;
const closeDeadlineInMilliseconds = 5000;

/** Counts in memory and adds to the database in the background. */
export interface Reporter {
  count(counted: Counted): void;
  /**
   * From the first request on: a process that serves none is not one of the fleet. Nor is one that counts
   * without any, as in a backfill; it says so.
   */
  start(options: { servesRequests: boolean }): void;
  /**
   * Adds now all that was counted before, if there ever was a request. Rejects when the database does not
   * answer; nothing is lost by it.
   */
  flush(): Promise<void>;
  /** Adds what is left and stops; gives up when the database does not answer. */
  close(): Promise<void>;
}

const millisecondsPerDay = 24 * 60 * 60 * 1000;
const dayOf = (number: number) => new Date(number * millisecondsPerDay).toISOString().slice(0, 10);

export function createReporter(
  db: Database,
  options: {
    /** Asked at each flush. */
    mode: () => string;
    about: () => object;
    learn: (value: LabelValue) => void;
    /** Told once of each outage. */
    tell: (error: Error) => void;
  },
): Reporter {
  const id = crypto.randomUUID();
  const startedAt = db.now();
  // When each connection of the pool waits for such an answer, one more flush would only queue up.
  const inTime = withDeadlineEach(connectionsOf(db.pool));
  let counts = new Map<string, { hit: Hit; count: number }>();
  /** What was sent and has not been acknowledged: it is sent again as it was. */
  let sent: { number: number; hits: Hit[] } | undefined;
  let number = 0;
  let reported: { mode: string; at: number } | undefined;
  let flushing: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let servesRequests = false;
  let isClosed = false;
  let isAway = false;

  const today = () => Math.floor(db.now().getTime() / millisecondsPerDay);

  async function send(): Promise<void> {
    if (sent === undefined) {
      const hits = [...counts.values()].map(({ hit, count }) => ({ ...hit, count }));
      counts = new Map();
      sent = { number: (number += 1), hits };
    }
    const mode = options.mode();
    const about = {
      ...options.about(),
      ...(isClosed && { hasEnded: true }),
      ...(!servesRequests && { servesRequests }),
    };
    const report = { id, mode, about, startedAt };
    const { number: flushNumber, hits } = sent;
    const adding = () => addToHits(db, report, flushNumber, hits, dayOf(today()));
    // Of a connection that is dead and does not know it, nothing may ever be heard again.
    const values = await inTime(adding, flushDeadlineInMilliseconds).catch((cause: unknown) => {
      throw cause instanceof BridgeError ? cause : new BridgeError("store-unavailable", { cause });
    });
    sent = undefined;
    reported = { mode, at: db.now().getTime() };
    for (const value of values) options.learn(value);
  }

  async function flush(): Promise<void> {
    // A repeated flush adds what was counted before it, the one after it the rest.
    if (sent !== undefined) await send();
    await send();
  }

  function flushOnce(): Promise<void> {
    flushing ??= flush().finally(() => {
      flushing = undefined;
    });
    return flushing;
  }

  // Whoever was flushing has not seen what came meanwhile.
  async function flushAll(): Promise<void> {
    await flushing?.catch(() => undefined);
    await flushOnce();
  }

  const hasNothingToTell = () => timer === undefined && counts.size === 0 && sent === undefined;

  function isDue(): boolean {
    if (counts.size > 0 || sent !== undefined || reported === undefined) return true;
    const isOld = db.now().getTime() - reported.at >= heartbeatInSeconds * 1000;
    return isOld || reported.mode !== options.mode();
  }

  function schedule(): void {
    timer = setTimeout(() => {
      const work = isDue() ? flushOnce() : Promise.resolve();
      work
        .then(
          () => (isAway = false),
          (error: unknown) => {
            if (!isAway) options.tell(error as Error);
            isAway = true;
          },
        )
        .finally(() => {
          if (!isClosed) schedule();
        });
    }, flushIntervalInSeconds * 1000);
    timer.unref();
  }

  return {
    count({ counter, values, labels }) {
      const day = today();
      const key = JSON.stringify([day, counter, values, labels]);
      const known = counts.get(key);
      if (known !== undefined) known.count += 1;
      else counts.set(key, { hit: hitOf(day, counter, values, labels), count: 1 });
    },
    start(given) {
      servesRequests ||= given.servesRequests;
      if (timer === undefined && !isClosed) schedule();
    },
    // Whoever only asks for the status (the command line) is not one of the fleet.
    async flush() {
      if (!hasNothingToTell()) await flushAll();
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      clearTimeout(timer);
      if (hasNothingToTell()) return;
      await withDeadline(flushAll(), closeDeadlineInMilliseconds).catch((error: unknown) => {
        options.tell(error as Error);
      });
    },
  };
}

function hitOf(
  day: number,
  counter: Counted["counter"],
  values: readonly string[],
  labels: Labels,
): Hit {
  // The last attribute is the outcome; a source stands alone.
  const [first = "", second = ""] = values;
  const isOutcome = values.length === 1 && counters[counter].attributes[0] !== "source";
  const [source, outcome] = isOutcome ? ["", first] : [first, second];
  return { day: dayOf(day), counter, source, outcome, labels, count: 1 };
}

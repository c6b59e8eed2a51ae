import type { AtOnce } from "./at-once.js";
import { type Brownout, parseBrownout } from "./brownout.js";
import { withDeadline, withDeadlineEach } from "./deadline.js";
import { connectionsOf, type Database, type Pool } from "./store/database.js";
import { listenForMode, readMode } from "./store/mode-log.js";

// Seen within two seconds, and not by every process in the same instant.
const pollInMilliseconds = () => 1200 + Math.random() * 400;
const firstAnswerInMilliseconds = 1000;
const answerInMilliseconds = 5000;

/** The flag in PostgreSQL, as this process last saw it. */
export interface FleetFlag {
  /** Undefined while nobody has set it, or it has not been seen. */
  readonly mode: string | undefined;
  readonly brownout: Brownout | undefined;
  /** Follows the flag from the first call on; there when it has been seen, or cannot be for now. */
  follow(): AtOnce<void>;
  close(): void;
}

/**
 * Polls the flag in the background, and at once when it is changed where `directPool` can be told. When
 * the database is away, the last known flag stays.
 */
export function createFleetFlag(
  db: Database,
  directPool: Pool | undefined,
  listener: {
    tell: (error: Error) => void;
    /** Another mode than the one that was seen before. */
    changed: () => void;
  },
): FleetFlag {
  const { tell } = listener;
  // When each connection of the pool waits for such an answer, one more look would only queue up.
  const inTime = withDeadlineEach(connectionsOf(db.pool));
  let mode: string | undefined;
  let brownout: Brownout | undefined;
  let starting: Promise<void> | undefined;
  let hasStarted = false;
  let timer: NodeJS.Timeout | undefined;
  let polling: Promise<void> | undefined;
  let stopListening: (() => void) | "connecting" | undefined;
  let isClosed = false;
  let isAway = false;
  let isDeaf = false;
  let isSeen = false;

  async function read(): Promise<void> {
    try {
      // Of a connection that is dead and does not know it, nothing may ever be heard again.
      const change = await inTime(() => readMode(db), answerInMilliseconds);
      const isOther = isSeen && change?.mode !== mode;
      isSeen = true;
      mode = change?.mode;
      if (isOther) listener.changed();
      brownout = parseBrownout(change?.brownout);
      isAway = false;
    } catch (error) {
      if (!isAway) tell(error as Error);
      isAway = true;
    }
  }

  function poll(): Promise<void> {
    polling ??= read().finally(() => {
      polling = undefined;
    });
    return polling;
  }

  // A look that is under way may have been too early to see the change.
  async function lookAgain(): Promise<void> {
    await polling;
    await poll();
  }

  async function listen(pool: Pool): Promise<void> {
    if (stopListening !== undefined || isAway) return;
    stopListening = "connecting";
    const lost = () => {
      stopListening = undefined;
    };
    try {
      const stop = await listenForMode(pool, () => void lookAgain(), lost);
      isDeaf = false;
      if (isClosed) stop();
      else stopListening = stop;
    } catch (error) {
      lost();
      if (!isDeaf) tell(error as Error);
      isDeaf = true;
    }
  }

  function schedule(): void {
    timer = setTimeout(() => {
      void poll().then(() => {
        if (isClosed) return;
        if (directPool !== undefined) void listen(directPool);
        schedule();
      });
    }, pollInMilliseconds());
    timer.unref();
  }

  async function start(): Promise<void> {
    const seen = poll();
    if (directPool !== undefined) void seen.then(() => listen(directPool));
    schedule();
    // A database that hangs must not hold up the requests that do not need it.
    await withDeadline(seen, firstAnswerInMilliseconds).catch(() => undefined);
    hasStarted = true;
  }

  return {
    get mode() {
      return mode;
    },
    get brownout() {
      return brownout;
    },
    follow() {
      if (hasStarted || (isClosed && starting === undefined)) return undefined;
      return (starting ??= start());
    },
    close() {
      isClosed = true;
      clearTimeout(timer);
      if (typeof stopListening === "function") stopListening();
    },
  };
}

import { withDeadline } from "../../deadline.js";
import type { MigrationStatus } from "../migration-status.js";

/** How long a status is shown again without a look into the database. */
export const recentForInSeconds = 2;
const deadlineInMilliseconds = 10_000;

/** The status, or what is known when it cannot be read. */
export interface SeenStatus {
  /** The last one that could be read; undefined when none could. */
  readonly status: MigrationStatus | undefined;
  /** Why there is no newer one. */
  readonly error: Error | undefined;
}

export interface RecentStatus {
  /** One that is at most two seconds old. Never rejects. */
  read(): Promise<SeenStatus>;
  /** One that was read after this call. Never rejects. */
  readAnew(): Promise<SeenStatus>;
}

/** Keeps the last status, so that many who look at it cost one read. */
export function createRecentStatus(
  load: () => Promise<MigrationStatus>,
  now: () => Date,
): RecentStatus {
  let last: MigrationStatus | undefined;
  let readAt = -Infinity;
  let reading: Promise<SeenStatus> | undefined;

  async function readAnew(): Promise<SeenStatus> {
    try {
      last = await withDeadline(load(), deadlineInMilliseconds);
      readAt = now().getTime();
      return { status: last, error: undefined };
    } catch (error) {
      return { status: last, error: error as Error };
    }
  }

  return {
    readAnew,
    async read() {
      const age = now().getTime() - readAt;
      if (age >= 0 && age < recentForInSeconds * 1000) return { status: last, error: undefined };
      reading ??= readAnew().finally(() => {
        reading = undefined;
      });
      return reading;
    },
  };
}

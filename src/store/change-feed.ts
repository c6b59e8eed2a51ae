import { setTimeout as pause } from "node:timers/promises";
import { withDeadline } from "../deadline.js";
import { cacheTriggers } from "./cache-triggers.js";
import type { ChangedSessions } from "./changed-sessions.js";
import { type Database, type Pool, statement } from "./database.js";
import { listen, type Listening } from "./listen.js";

const channel = "sessionBridgeChange";
const beatInMilliseconds = 250;
const currentForMilliseconds = 1000;
/** After so long without an answer a connection is given up. */
const answerInMilliseconds = 5000;
const firstRetryInMilliseconds = 500;
const lastRetryInMilliseconds = 30_000;

// The table's own number, since databases and schemas may be alike.
const identity = statement<{ identity: string }>(
  "identify-server",
  `select concat_ws(' ', extract(epoch from pg_postmaster_start_time()), current_database(), to_regclass('"sessionStore"')::oid)
    as "identity"`,
);

const beat = `select pg_backend_pid() as "pid", ${cacheTriggers.arePresent} as "isTold"`;

/** What other processes change, as far as it is heard of. */
export interface ChangeFeed {
  /**
   * Whether every change that was made until a second ago, by whomever, is in the changed sessions. The first
   * call begins to listen.
   */
  isCurrent(): boolean;
  close(): void;
}

/**
 * Notes the changes that PostgreSQL tells of, over one connection that it asks four times a second for a sign
 * of life. PostgreSQL tells a connection of all changes that have been made before it answers: the answer
 * proves that what was changed before the question is known. Without an answer it is not current, and with
 * another connection every session counts as changed.
 */
export function createChangeFeed(
  db: Database,
  changes: ChangedSessions,
  pool: Pool,
  tell: (error: unknown) => void,
): ChangeFeed {
  // Of the process, not of the world: nobody sets it.
  let provenAt = -Infinity;
  let retryInMilliseconds = firstRetryInMilliseconds;
  let listening: Listening | undefined;
  let isFollowing = false;
  let isClosed = false;

  function lose(): void {
    listening?.release();
    listening = undefined;
    provenAt = -Infinity;
  }

  async function connect(): Promise<Listening> {
    const connecting = listen(pool, channel, {
      // Empty for all of them.
      heard: (sessionId) => {
        changes.note(sessionId);
      },
      lost: lose,
    });
    try {
      return await withDeadline(connecting, answerInMilliseconds);
    } catch (error) {
      connecting.then(
        ({ release }) => {
          release();
        },
        () => undefined,
      );
      throw error;
    }
  }

  async function hear(): Promise<void> {
    const own = (listening = await connect());
    if (isClosed) return;
    const ask = async <Row>(text: string) => {
      const { rows } = await withDeadline(own.client.query(text), answerInMilliseconds);
      return rows[0] as Row;
    };
    const asked = await ask<{ identity: string }>(identity.text);
    const [read] = await withDeadline(db.rows(identity, []), answerInMilliseconds);
    if (asked.identity !== read?.identity) throw new Error(otherDatabase);
    // What was read before it listened, this time, may have changed unheard.
    changes.noteAll();
    while (listening === own) {
      const sentAt = performance.now();
      const answer = await ask<{ pid: number; isTold: boolean }>(beat);
      // Lost or closed meanwhile.
      if (listening !== own) return;
      if (own.client.processID !== answer.pid) throw new Error(pooled);
      if (!answer.isTold) throw new Error(untold);
      provenAt = sentAt;
      retryInMilliseconds = firstRetryInMilliseconds;
      await pause(beatInMilliseconds, undefined, { ref: false });
    }
  }

  async function follow(): Promise<void> {
    while (!isClosed) {
      await hear().catch(tell);
      lose();
      await pause(retryInMilliseconds, undefined, { ref: false });
      retryInMilliseconds = Math.min(2 * retryInMilliseconds, lastRetryInMilliseconds);
    }
  }

  return {
    isCurrent() {
      if (!isFollowing && !isClosed) {
        isFollowing = true;
        void follow();
      }
      return performance.now() - provenAt < currentForMilliseconds;
    },
    close() {
      isClosed = true;
      lose();
    },
  };
}

const otherDatabase =
  "cache: directPool and pool go to different servers, databases or schemas, so that nothing is cached";
const pooled =
  "cache: directPool goes by a pooler, so that nothing is cached; give it a pool that goes to PostgreSQL itself";
const untold =
  "cache: PostgreSQL does not tell of changes, so that nothing is cached; run: npx koa-session-bridge migrate --cache";

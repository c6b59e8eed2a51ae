import { type Database, type Pool, statement } from "./database.js";
import { listen } from "./listen.js";

/** One change of the flag. */
export interface ModeChange {
  readonly mode: string;
  /** The mode before; null for the first change. */
  readonly from: string | null;
  /** The brownout from here on, as it was stored. */
  readonly brownout: unknown;
  readonly changedAt: Date;
  readonly changedBy: string;
  readonly reason: string | null;
}

const channel = "sessionBridgeMode";

const readChange = statement<Pick<ModeChange, "mode" | "brownout">>(
  "read-mode",
  `select "mode", "brownout" from "sessionBridgeMode" order by "id" desc limit 1`,
);

const readChanges = statement<ModeChange>(
  "read-mode-changes",
  `select "mode", lag("mode") over (order by "id") as "from", "brownout", "changedAt", "changedBy", "reason"
  from "sessionBridgeMode" order by "id" desc limit $1`,
);

// Null leaves the mode, or the brownout, as it is.
const insertChange = statement<{ mode: string }>(
  "change-mode",
  `with last as (
    select "mode", "brownout" from "sessionBridgeMode" order by "id" desc limit 1
  ), changed as (
    insert into "sessionBridgeMode" ("mode", "brownout", "changedAt", "changedBy", "reason")
    select coalesce($1, (select "mode" from last), $6),
      case when $2::boolean then $3::jsonb else (select "brownout" from last) end, $4, $5, $7
    returning "mode"
  )
  select "mode", pg_notify('${channel}', '') from changed`,
);

/** The flag as it stands; undefined while nobody has set it. One round trip. */
export async function readMode(
  db: Database,
): Promise<Pick<ModeChange, "mode" | "brownout"> | undefined> {
  const [row] = await db.rows(readChange, []);
  return row;
}

/** The last changes, the newest first. One round trip. */
export async function readModeChanges(db: Database, limit: number): Promise<ModeChange[]> {
  return db.rows(readChanges, [limit]);
}

/**
 * Sets the flag for every process that follows it, and notes who did. Gives the mode from here on. A
 * member left out stays as it is; `brownout: null` ends the brownout. One round trip.
 */
export async function changeMode(
  db: Database,
  change: {
    mode?: string;
    brownout?: unknown;
    defaultMode: string;
    by: string;
    reason?: string | undefined;
  },
): Promise<string> {
  const { mode, brownout, defaultMode, by, reason } = change;
  const [row] = await db.rows(insertChange, [
    mode ?? null,
    brownout !== undefined,
    brownout == null ? null : JSON.stringify(brownout),
    db.now(),
    by,
    defaultMode,
    reason ?? null,
  ]);
  return row?.mode ?? defaultMode;
}

/**
 * Calls `changed` when the flag is set, over one connection of a pool that is kept for it. Resolves to a
 * function that gives the connection back; `lost` is called when the connection ends by itself.
 */
export async function listenForMode(
  pool: Pool,
  changed: () => void,
  lost: (error: Error) => void,
): Promise<() => void> {
  const { release } = await listen(pool, channel, { heard: changed, lost });
  return release;
}

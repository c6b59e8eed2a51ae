import { BridgeError } from "../errors.js";
import { readOldRows, type OldTable, unlinkedKeys } from "../store/old-table.js";
import { countUnlinked } from "../store/read-status.js";
import { readLinkedKeys } from "../store/upgrade-sessions.js";
import type { Database } from "../store/database.js";
import { exists } from "./legacy-view.js";
import { reachOld } from "./reach-old.js";
import { hashLegacyKey } from "./sealed-key.js";
import type { LegacySource, OldStore } from "./source.js";

/** What the old store holds under a key: a copy that nobody changes, or why it cannot be read. */
export type Reading = { readonly value: unknown } | { readonly error: Error };

/** The sessions of an old store that can list them. */
export interface OldSessions {
  /** How many have not been linked. */
  count(): Promise<number>;
  /** The keys of those, some at a time, as they are found. */
  unlinked(): AsyncGenerator<readonly string[]>;
  /**
   * What the old store holds now; a key is missing that it does not know any more.
   *
   * @throws BridgeError when it is away, or the bridge's own store is
   */
  read(keys: readonly string[]): Promise<Map<string, Reading>>;
}

/** Undefined for a source whose sessions cannot be listed. */
export function oldSessionsOf(
  db: Database,
  source: LegacySource,
  tableBeside: OldTable | undefined,
): OldSessions | undefined {
  if (tableBeside !== undefined) return sessionsInTable(db, source, tableBeside);
  const { oldStore } = source;
  const keys = oldStore?.keys?.bind(oldStore);
  return keys && sessionsInStore(db, source, oldStore as OldStore, keys);
}

function sessionsInTable(db: Database, { name }: LegacySource, table: OldTable): OldSessions {
  return {
    count: async () => (await countUnlinked(db, name, table)).count,
    unlinked: () => unlinkedKeys(db, name, table),
    async read(keys) {
      const rows = await readOldRows(db, table, keys);
      return new Map([...rows].map(([key, value]) => [key, { value }]));
    },
  };
}

const chunkSize = 500;
// One unreadable session is no outage; nothing but unreadable ones are.
const failuresOfAnOutage = 20;

function sessionsInStore(
  db: Database,
  { name }: LegacySource,
  oldStore: OldStore,
  keys: () => AsyncIterable<string>,
): OldSessions {
  let failuresInARow = 0;

  async function* unlinked() {
    for await (const chunk of chunksOf(keys())) {
      const hashes = chunk.map((key) => hashLegacyKey(name, key));
      const linked = await readLinkedKeys(db, hashes);
      const left = chunk.filter(
        (_, index) => !linked.has(hashes[index]?.toString("base64url") ?? ""),
      );
      if (left.length > 0) yield left;
    }
  }

  async function readOne(key: string): Promise<Reading | undefined> {
    try {
      const value = await reachOld(() => oldStore.get(key, undefined));
      failuresInARow = 0;
      return exists(value) ? { value: copyOf(value) } : undefined;
    } catch (error) {
      const isAway = error instanceof BridgeError && error.code === "legacy-store-unavailable";
      if (isAway && (failuresInARow += 1) >= failuresOfAnOutage) throw error;
      return { error: error as Error };
    }
  }

  return {
    unlinked,
    async count() {
      let count = 0;
      for await (const chunk of unlinked()) count += chunk.length;
      return count;
    },
    // One after the other: how many at once is for the caller to say.
    async read(keys) {
      const readings = new Map<string, Reading>();
      for (const key of keys) {
        const reading = await readOne(key);
        if (reading !== undefined) readings.set(key, reading);
      }
      return readings;
    },
  };
}

async function* chunksOf(keys: AsyncIterable<string>): AsyncGenerator<string[]> {
  const iterator = keys[Symbol.asyncIterator]();
  let chunk = new Set<string>();
  for (;;) {
    const next = await reachOld(() => iterator.next());
    if (next.done === true) break;
    chunk.add(next.value);
    if (chunk.size < chunkSize) continue;
    yield [...chunk];
    chunk = new Set();
  }
  if (chunk.size > 0) yield [...chunk];
}

// As it is stored. A store in memory may hand out the very object that the application changes.
function copyOf(value: unknown): unknown {
  try {
    return JSON.parse(JSON.stringify(value));
  } catch (cause) {
    throw new BridgeError("data-not-storable", { cause });
  }
}

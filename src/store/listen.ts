import type { Pool, PoolClient } from "./database.js";

/** A connection that is kept to hear of what is told on a channel. */
export interface Listening {
  readonly client: PoolClient;
  /** Ends the connection. */
  readonly release: () => void;
}

/**
 * Listens on a channel over one connection of the pool. `heard` is called with the text of each
 * notification, in the order in which they were committed; `lost` once, when the connection ends by itself.
 */
export async function listen(
  pool: Pool,
  channel: string,
  listener: { heard: (payload: string) => void; lost: (error: Error) => void },
): Promise<Listening> {
  const client = await pool.connect();
  let isReleased = false;
  const release = () => {
    if (isReleased) return;
    isReleased = true;
    // What has listened must not go back among the connections of requests.
    client.release(true);
  };
  client.on("error", (error) => {
    if (isReleased) return;
    release();
    listener.lost(error);
  });
  client.on("notification", (message) => {
    listener.heard(message?.payload ?? "");
  });
  try {
    await client.query(`listen "${channel}"`);
  } catch (error) {
    release();
    throw error;
  }
  return { client, release };
}

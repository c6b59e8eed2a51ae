import pg from "pg";

/** The statements that a pool sent since the count began. */
export interface StatementCount {
  /** The text of each that a request sent, in order; the array is live. */
  readonly texts: string[];
  /** Those by which a bridge reports its counts and follows the flag, beside any request. */
  readonly background: string[];
  /** Begins again from none. */
  reset(): void;
  stop(): void;
}

/**
 * Counts at the driver: every `query` of every connection that the pool hands out, its own `query()`
 * included, so that no statement of a request can hide from its budget.
 */
export function countStatements(pool: pg.Pool): StatementCount {
  const texts: string[] = [];
  const background: string[] = [];
  const counted = new WeakSet<pg.PoolClient>();
  let counting = true;

  const count = (client: pg.PoolClient): void => {
    if (counted.has(client)) return;
    counted.add(client);
    const query = client.query.bind(client) as (...args: unknown[]) => unknown;
    const counter = (...args: unknown[]): unknown => {
      const text = textOf(args[0]);
      if (counting) (isBackground(text) ? background : texts).push(text);
      return query(...args);
    };
    client.query = counter as typeof client.query;
  };

  // "acquire" comes before any use, also for a connection that was open before the count began.
  pool.on("acquire", count);
  return {
    texts,
    background,
    reset: () => {
      texts.splice(0);
      background.splice(0);
    },
    stop: () => {
      counting = false;
      pool.off("acquire", count);
    },
  };
}

function textOf(statement: unknown): string {
  if (typeof statement === "string") return statement;
  const { text } = statement as { text?: unknown };
  return typeof text === "string" ? text : "(a statement without text)";
}

const isBackground = (text: string) => /"sessionBridge(Hit|Mode|Process)"/.test(text);

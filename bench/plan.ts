import { UsageError } from "./arguments.js";
import type { Scenario } from "./measure.js";
import { type Variant, variants } from "./variants.js";

/** The scenarios of a run: reads by many and by few connections, and counting by many. */
export function scenariosOf(connections: number): Scenario[] {
  const few = Math.min(4, connections);
  const read = (id: string, number: number): Scenario => ({
    id,
    name: `Reading the session, ${number} connections`,
    connections: number,
    writes: false,
  });
  const write: Scenario = {
    id: "count",
    name: `Reading it and counting in it, ${connections} connections`,
    connections,
    writes: true,
  };
  return few === connections
    ? [read("read", connections), write]
    : [read("read", connections), read("read-few", few), write];
}

const maximumUsers = 2_000;

/** Room for the checks beside the load. */
export const checkedUsers = 4;

/**
 * Users that no other variant touches, spread over all sessions; the last of them are for the checks.
 *
 * @throws UsageError when there are too few sessions
 */
export function usersOf(variant: Variant, sessions: number, connections: number) {
  const every = variants.length;
  const first = variants.indexOf(variant);
  const available = Math.floor(sessions / every);
  if (available < connections + checkedUsers) {
    const least = (connections + checkedUsers) * every;
    throw new UsageError(
      `--sessions must be at least ${least} for ${connections} connections: each works on sessions of its own.`,
    );
  }
  const count = Math.min(available, maximumUsers);
  const users = Array.from(
    { length: count },
    (_, index) => 1 + first + Math.floor((index * available) / count) * every,
  );
  return { loaded: users.slice(0, -checkedUsers), checked: users.slice(-checkedUsers) };
}

/** The variants of round number `round`: each begins with another, so that none always follows the same. */
export function inRound<Item>(items: readonly Item[], round: number): Item[] {
  const start = items.length === 0 ? 0 : round % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}

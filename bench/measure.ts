import { checkCounters, checkLoad } from "./checks.js";
import type { LoadGenerator } from "./load.js";
import type { Stage } from "./stage.js";
import type { Variant } from "./variants.js";
import { committedTransactions, sumOfCounters } from "./world.js";

export interface Scenario {
  readonly id: string;
  readonly name: string;
  readonly connections: number;
  readonly writes: boolean;
}

/** One round of one variant. */
export interface Measurement {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** User and system time of the server process, all its threads. */
  readonly cpuSecondsPer10k: number;
  /** At the end of the load. */
  readonly residentBytes: number;
  readonly statementsPerRequest: number;
}

export interface Run {
  readonly variant: Variant;
  readonly scenario: Scenario;
  /** A file that `writeRequests` wrote. */
  readonly requests: string;
  readonly seconds: number;
}

const warmUpInSeconds = 2;

/**
 * Loads a server of its own, after two seconds to warm up.
 *
 * @throws Error when an answer under load is wrong or an update is lost
 */
export async function measure(
  stage: Stage,
  generator: LoadGenerator,
  { variant, scenario, requests, seconds }: Run,
): Promise<Measurement> {
  const { pool, signal } = stage;
  const { connections, writes } = scenario;
  // Read while no server is at work.
  const committedBefore = await committedTransactions(pool);
  const countedBefore = await sumOfCounters(pool, variant.sessions);
  const { answered, ...measured } = await stage.withServer(variant.id, async (server) => {
    const load = { port: server.port, requests, connections, apart: writes };
    const warmUp = await generator.run({ ...load, seconds: warmUpInSeconds }, signal);
    const before = await server.usage();
    const result = await generator.run({ ...load, seconds }, signal);
    const after = await server.usage();
    checkLoad(variant, warmUp);
    checkLoad(variant, result);
    return {
      answered: warmUp.requests + result.requests,
      requestsPerSecond: result.requests / result.seconds,
      p50Ms: result.p50Ms,
      p99Ms: result.p99Ms,
      cpuSecondsPer10k: ((after.cpuSeconds - before.cpuSeconds) / result.requests) * 10_000,
      residentBytes: after.residentBytes,
    };
  });
  const committed = (await committedTransactions(pool)) - committedBefore;
  const counted = (await sumOfCounters(pool, variant.sessions)) - countedBefore;
  // Either load may have left a request a connection.
  const underWay = 2 * connections;
  checkCounters(
    variant,
    writes ? { answered, counted, underWay } : { answered: 0, counted, underWay: 0 },
  );
  // Every variant's statements are transactions of their own.
  return { ...measured, statementsPerRequest: committed / answered };
}

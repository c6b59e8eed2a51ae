import { check, type Revocation } from "./checks.js";
import { headerOf } from "./credentials.js";
import { type LoadGenerator, writeRequests } from "./load.js";
import { type Measurement, measure, type Scenario } from "./measure.js";
import { inRound, usersOf } from "./plan.js";
import { type Stage, tell } from "./stage.js";
import type { Result } from "./table.js";
import type { Variant } from "./variants.js";
import { revoke } from "./world.js";

export interface Plan {
  readonly variants: readonly Variant[];
  readonly scenarios: readonly Scenario[];
  readonly rounds: number;
  readonly seconds: number;
  readonly sessions: number;
  readonly connections: number;
}

/** What a run gave. */
export interface Outcome {
  /** By variant's id. */
  readonly revocation: Readonly<Record<string, Revocation>>;
  readonly scenarios: readonly (Pick<Scenario, "id" | "name" | "connections"> & {
    readonly results: readonly Result[];
  })[];
}

/**
 * Checks each variant, then measures each in each scenario, in interleaved rounds.
 *
 * @throws Error when a variant does something wrong
 */
export async function runAll(stage: Stage, generator: LoadGenerator, plan: Plan): Promise<Outcome> {
  const revocation: Record<string, Revocation> = {};
  for (const variant of plan.variants) {
    revocation[variant.id] = await checkOn(stage, variant, plan);
    tell(`${variant.name}: right answers; a revoked session: ${revocation[variant.id]}.`);
  }
  const measured = new Map<string, Measurement[]>();
  const keyOf = (scenario: Scenario, { id }: Variant) => `${scenario.id} ${id}`;
  for (let round = 0; round < plan.rounds; round += 1) {
    for (const scenario of plan.scenarios) {
      tell(`\nRound ${round + 1} of ${plan.rounds}: ${scenario.name}`);
      for (const variant of inRound(taking(plan.variants, scenario), round)) {
        const file = await requestsOf(stage, variant, scenario, plan);
        const run = { variant, scenario, requests: file, seconds: plan.seconds };
        const measurement = await measure(stage, generator, run);
        tell(`${variant.name}: ${Math.round(measurement.requestsPerSecond)} requests/s`);
        const key = keyOf(scenario, variant);
        measured.set(key, [...(measured.get(key) ?? []), measurement]);
      }
    }
  }
  const scenarios = plan.scenarios.map((scenario) => ({
    ...scenario,
    results: taking(plan.variants, scenario).map((variant) => ({
      variant,
      rounds: measured.get(keyOf(scenario, variant)) ?? [],
    })),
  }));
  return { revocation, scenarios };
}

const taking = (variants: readonly Variant[], { writes }: Scenario) =>
  variants.filter((variant) => !writes || variant.writes === true);

async function requestsOf(stage: Stage, variant: Variant, scenario: Scenario, plan: Plan) {
  const { loaded } = usersOf(variant, plan.sessions, plan.connections);
  const requests = loaded.map((user) => ({
    method: scenario.writes ? ("POST" as const) : ("GET" as const),
    path: `/${scenario.writes ? "count" : "read"}/${user}`,
    header: headerOf(stage.world.secrets, variant.credential, user),
  }));
  return writeRequests(stage.folder, `${scenario.id}-${variant.id}`, requests);
}

function checkOn(stage: Stage, variant: Variant, plan: Plan): Promise<Revocation> {
  const { checked, loaded } = usersOf(variant, plan.sessions, plan.connections);
  const header = (user: number) => headerOf(stage.world.secrets, variant.credential, user);
  return stage.withServer(variant.id, async ({ url }) => {
    // The first request of a cookie upgrades its session; the load is to find it upgraded.
    if (variant.sessions === "upgraded") await visitAll(url, loaded, header);
    return check({
      variant,
      url,
      users: checked,
      header,
      revoke: (user) => revoke(stage.pool, variant.sessions, user),
    });
  });
}

async function visitAll(
  url: string,
  users: readonly number[],
  header: (user: number) => string,
): Promise<void> {
  const left = [...users];
  const visit = async () => {
    for (let user = left.pop(); user !== undefined; user = left.pop()) {
      const [name, value] = header(user).split(/: (.*)/s) as [string, string];
      await (await fetch(`${url}/read/${user}`, { headers: { [name]: value } })).text();
    }
  };
  await Promise.all(Array.from({ length: 16 }, visit));
}

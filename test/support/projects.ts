/** How every project of both Vitest configurations runs. */
export const runner = {
  pool: "forks" as const,
  maxWorkers: 2,
  testTimeout: 60_000,
  hookTimeout: 60_000,
  passWithNoTests: false,
};

/** The flows run once for each pair of published versions; versions.ts reads the environment. */
export const flowProjects = [flowProject("2", "5"), flowProject("3", "6"), newestFlowProject()];

/** The old session systems run on the newest versions of Koa and koa-session, watched as the flows are. */
export const systemsProject = {
  test: {
    ...runner,
    name: "systems",
    include: ["test/systems/**/*.test.ts"],
    setupFiles: ["test/support/secrets-setup.ts"],
    env: { KOA: "3", KOA_SESSION: "7" },
  },
};

/** The flows on the newest versions alone. */
export function newestFlowProject() {
  return flowProject("3", "7");
}

function flowProject(koa: string, koaSession: string) {
  return {
    test: {
      ...runner,
      name: `koa${koa}-session${koaSession}`,
      include: ["test/flows/**/*.test.ts"],
      setupFiles: ["test/support/secrets-setup.ts"],
      env: { KOA: koa, KOA_SESSION: koaSession },
    },
  };
}

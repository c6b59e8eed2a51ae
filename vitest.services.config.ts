import { defineConfig } from "vitest/config";
import { newestFlowProject, runner } from "./test/support/projects.js";

/**
 * Checks against real servers from Debian's packages. Every flow runs with PgBouncer between it and
 * PostgreSQL; test/services/ holds what needs another server.
 */
export default defineConfig({
  test: {
    ...runner,
    globalSetup: "test/support/services-setup.ts",
    projects: [
      {
        test: {
          ...runner,
          name: "services",
          include: ["test/services/**/*.test.ts"],
          setupFiles: ["test/support/secrets-setup.ts"],
        },
      },
      newestFlowProject(),
    ],
  },
});

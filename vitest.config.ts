import { defineConfig } from "vitest/config";
import { flowProjects, runner, systemsProject } from "./test/support/projects.js";

export default defineConfig({
  test: {
    ...runner,
    globalSetup: "test/support/global-setup.ts",
    projects: [
      {
        test: {
          ...runner,
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/flows/**", "test/systems/**", "test/services/**"],
        },
      },
      systemsProject,
      ...flowProjects,
    ],
  },
});

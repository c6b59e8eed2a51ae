import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

/**
 * Compiles modules (name to text) as strictly as the sources, in a program of their own, with
 * "koa-session-bridge" being the sources. Gives what the compiler has to say: nothing when all is well.
 */
export async function typeCheck(modules: Readonly<Record<string, string>>): Promise<string> {
  // Inside the repository, so that packages are found.
  const folder = await mkdtemp(join(root, "test", ".types-"));
  try {
    for (const [name, text] of Object.entries(modules)) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), text);
    }
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify(configOf(Object.keys(modules))));
    return await compile(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function configOf(names: string[]): object {
  return {
    extends: "../../tsconfig.json",
    compilerOptions: {
      allowJs: true,
      checkJs: true,
      noUnusedLocals: false,
      noUnusedParameters: false,
      paths: {
        "koa-session-bridge": ["../../src/index.ts"],
        "koa-session-bridge/tokens": ["../../src/tokens/index.ts"],
        "koa-session-bridge/prometheus": ["../../src/monitor/prometheus.ts"],
        "koa-session-bridge/opentelemetry": ["../../src/monitor/opentelemetry.ts"],
      },
    },
    files: names,
    include: [],
  };
}

function compile(project: string): Promise<string> {
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  return new Promise((resolve) => {
    execFile(process.execPath, [compiler, "--project", project], (error, stdout) => {
      resolve(error !== null && stdout === "" ? error.message : stdout);
    });
  });
}

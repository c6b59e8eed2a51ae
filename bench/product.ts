import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";

const execute = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));

/** The package as it is published: what a benchmark measures. */
export interface Product {
  /** The folder of the built modules, as a URL. */
  readonly url: string;
  remove(): Promise<void>;
}

/**
 * Builds the package as `npm run build` does, into a folder of its own beside `dist/`, which others may
 * be building anew meanwhile.
 */
export async function buildProduct(signal?: AbortSignal): Promise<Product> {
  const folder = await mkdtemp(join(root, ".bench-"));
  const remove = () => rm(folder, { recursive: true, force: true });
  const compiler = createRequire(import.meta.url).resolve("typescript/bin/tsc");
  const args = [
    compiler,
    "-p",
    "tsconfig.build.json",
    "--declaration",
    "false",
    "--outDir",
    folder,
  ];
  try {
    await execute(process.execPath, args, { cwd: root, ...(signal && { signal }) });
  } catch (error) {
    await remove();
    throw error;
  }
  return { url: `${pathToFileURL(folder).href}/`, remove };
}

/** Imports a module of the build, such as `"tokens/index.js"`; the caller says of which source it is. */
export async function importBuilt<Module>(product: { url: string }, path: string): Promise<Module> {
  return (await import(product.url + path)) as Module;
}

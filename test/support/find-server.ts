import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/**
 * The path of a program from Debian's packages; mostly it names the package as well.
 *
 * @throws Error that says how to install it
 */
export function findServer(program: string, name: string, packageName = program): string {
  // Debian installs some for the superuser: not on everybody's PATH.
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  const binary = folders.map((folder) => join(folder, program)).find((path) => existsSync(path));
  if (binary === undefined) {
    throw new Error(`${name} is not installed. Install it with: apt-get install -y ${packageName}`);
  }
  return binary;
}

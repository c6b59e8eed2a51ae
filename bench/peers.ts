import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { tell } from "./stage.js";

const execute = promisify(execFile);
const folder = new URL("peers/", import.meta.url);

/** Installs the packages of bench/peers as its lockfile says, unless that has been done. */
export async function installPeers(signal: AbortSignal): Promise<void> {
  if (await isInstalled()) return;
  tell("Installing the peers in bench/peers, once: npm ci.");
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  await execute(npm, ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
    cwd: fileURLToPath(folder),
    signal,
  });
}

// npm copies what it has installed to a hidden lockfile when it is done.
async function isInstalled(): Promise<boolean> {
  const [wanted, installed] = await Promise.all(
    ["package-lock.json", "node_modules/.package-lock.json"].map(packagesOf),
  );
  return Object.entries(wanted ?? {}).every(
    ([path, { version, optional }]) =>
      path === "" || optional === true || installed?.[path]?.version === version,
  );
}

async function packagesOf(file: string) {
  const text = await readFile(new URL(file, folder), "utf8").catch(() => "{}");
  const { packages } = JSON.parse(text) as {
    packages?: Record<string, { version?: string; optional?: boolean }>;
  };
  return packages;
}

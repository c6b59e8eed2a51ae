import { execFileSync } from "node:child_process";
import { cpus } from "node:os";
import type pg from "pg";
import { serverSettings } from "./stage.js";

/** Where and with what a run took place, as a line to read. */
export async function describeMachine(pool: pg.Pool, loadGenerator: string): Promise<string> {
  const { rows } = await pool.query<{ server_version: string }>("show server_version");
  const processors = cpus();
  const settings = Object.entries(serverSettings).map(([name, value]) => `${name}=${value}`);
  return [
    `${processors[0]?.model.trim() ?? "unknown processor"}, ${processors.length} cores`,
    `Node.js ${process.versions.node}`,
    `PostgreSQL ${rows[0]?.server_version.split(" ")[0]} on the same machine (${settings.join(", ")})`,
    `load by ${loadGenerator}`,
    `commit ${commit()}`,
    new Date().toISOString().slice(0, 10),
  ].join("; ");
}

function commit(): string {
  try {
    const args = ["describe", "--always", "--dirty", "--exclude", "*"];
    return execFileSync("git", args, {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return "unknown";
  }
}

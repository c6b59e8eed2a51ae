import type { MigrationStatus } from "../monitor/migration-status.js";

const quietDays = 7;

/** What the operator does next, where the verdict allows it; undefined while there is only to wait. */
export function nextStep(status: MigrationStatus): string | undefined {
  const { mode, verdict, processes } = status;
  if (new Set(processes.map((process) => process.mode)).size > 1) return undefined;
  if (mode === "observe") return flip("bridge", status);
  if (mode === "bridge")
    return verdict.answer === "safe to drain" ? flip("drain", status) : undefined;
  if (verdict.answer !== "safe to drop") return undefined;
  if (mode === "drain") return flip("tokens", status);
  const isQuiet = status.days.slice(-quietDays).every((day) => day.legacy + day.dropped === 0);
  return isQuiet
    ? "take the bridge out of the application: tokenSession() goes in its place (MIGRATION.md)"
    : `keep this mode until no cookie has come for ${quietDays} days: it costs nothing, and the way back stays open`;
}

function flip(mode: string, { processes }: MigrationStatus): string {
  const origins = new Set(processes.map(({ modeFrom }) => modeFrom));
  if (origins.has("option") || origins.has("function"))
    return `have the application's option mode give "${mode}": the processes do not follow the database`;
  if (origins.has("environment"))
    return `SESSION_BRIDGE_MODE=${mode} for every process: they do not follow the database`;
  return `koa-session-bridge mode ${mode}`;
}

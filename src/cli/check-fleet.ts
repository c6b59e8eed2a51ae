import type { ProcessStatus } from "../monitor/migration-status.js";
import { type Finding, ok, problem, warning } from "./finding.js";
import { originOf } from "./render-status.js";
import { plural } from "./text.js";

const nameOf = ({ host, pid }: ProcessStatus) => `${host}:${pid}`;
const distinct = (values: readonly string[]) => [...new Set(values)].sort();

/** Whether the live processes agree with each other and with the flag. */
export function checkFleet(
  processes: readonly ProcessStatus[],
  flag: string | undefined,
): Finding[] {
  if (processes.length === 0) {
    const text = "none has served a request in the last 90 seconds";
    return [
      warning("processes", text, "Start the application with the bridge, and send it a request."),
    ];
  }
  return [checkModes(processes, flag), checkSigningKeys(processes), ...checkProxy(processes)];
}

function checkModes(processes: readonly ProcessStatus[], flag: string | undefined): Finding {
  // A function may give each request another mode.
  const steady = processes.filter(({ modeFrom }) => modeFrom !== "function");
  const telling = steady.length > 0 ? steady : processes.slice(-1);
  const modes = distinct(telling.map(({ mode }) => mode));
  const deaf = processes.filter(({ modeFrom }) => modeFrom !== "database");
  const list = deaf.map((process) => `${nameOf(process)} (${originOf(process)})`).join(", ");
  const advice =
    "For one flag of the whole fleet remove the option mode and SESSION_BRIDGE_MODE from every process.";
  if (modes.length > 1)
    return problem(
      "processes",
      `in different modes: ${modes.join(", ")}${deaf.length > 0 ? `; not from the database: ${list}` : ""}`,
      deaf.length > 0 ? advice : "Wait some seconds; then see why some do not reach the database.",
    );
  const all = plural(processes.length, "process", "processes");
  if (deaf.length > 0)
    return warning("processes", `${all} in ${modes[0]}; not from the database: ${list}`, advice);
  if (flag !== undefined && flag !== modes[0])
    return problem(
      "processes",
      `${all} in ${modes[0]}, but the flag says ${flag}`,
      "Wait some seconds; then see why they do not reach the database.",
    );
  return ok("processes", `${all} in ${modes[0]}`);
}

function checkSigningKeys(processes: readonly ProcessStatus[]): Finding {
  for (const signer of processes) {
    const [kid] = signer.signingKeys;
    const stranger = processes.find(
      ({ signingKeys }) => kid !== undefined && !signingKeys.includes(kid),
    );
    if (stranger !== undefined)
      return problem(
        "signing keys",
        `${nameOf(signer)} signs with ${kid}, which ${nameOf(stranger)} does not know: it refuses these tokens`,
        "Give every process the new key behind the old ones first, and let it sign only then.",
      );
  }
  const sets = distinct(processes.map(({ signingKeys }) => signingKeys.join(", ")));
  if (sets.length > 1)
    return warning(
      "signing keys",
      `the processes have different ones: ${sets.join(" / ")}`,
      "All know those that sign. If no rotation is under way, give all processes the same.",
    );
  return ok("signing keys", `the same in every process (${sets[0]})`);
}

function checkProxy(processes: readonly ProcessStatus[]): Finding[] {
  const behind = processes.filter(({ isBehindProxy }) => isBehindProxy).length;
  if (behind === 0 || behind === processes.length) return [];
  return [
    warning(
      "proxy",
      `app.proxy is set in ${behind} of ${processes.length} processes`,
      "Set it in all that are behind a proxy: without it koa takes requests for HTTP.",
    ),
  ];
}

import type { MigrationStatus, ProcessStatus } from "../monitor/migration-status.js";
import { describeBrownout } from "./describe-brownout.js";
import { nextStep } from "./next-step.js";
import { renderCounts } from "./render-counts.js";
import type { Page } from "./style.js";
import { ago, columns, oneLine, plural, span, time, wrap } from "./text.js";

const indent = " ".repeat(12);

/** The status as text, a line each; the most pressing first. */
export function renderStatus(status: MigrationStatus, page: Page): string[] {
  const { style } = page;
  const head = [
    `${style.bold("koa-session-bridge")} ${style.dim(time(status.at))}`,
    "",
    ...renderVerdict(status, page),
    "",
    ...renderMode(status, page),
    ...renderBrownout(status, page),
    ...renderProcesses(status, page),
  ];
  return [...head, ...renderCounts(status, page, head.length)];
}

/** A titled line, broken where the window ends. */
export function titled(title: string, text: string, { style, width }: Page): string[] {
  const [first = "", ...rest] = wrap(text, width - indent.length);
  return [
    `${style.bold(title.padEnd(indent.length))}${first}`,
    ...rest.map((line) => indent + line),
  ];
}

function renderVerdict(status: MigrationStatus, page: Page): string[] {
  const { verdict, at } = status;
  const { style } = page;
  const paint = verdict.answer === "not yet" ? style.yellow : style.green;
  const lines = titled("Verdict", paint(style.bold(verdict.answer)), page);
  for (const reason of verdict.reasons)
    lines.push(...wrap(reason, page.width, `${indent}- `, `${indent}  `));
  const { estimatedAt } = verdict;
  if (estimatedAt !== null) {
    const wait = span((estimatedAt.getTime() - at.getTime()) / 1000);
    lines.push(`${indent}Expected: about ${estimatedAt.toISOString().slice(0, 10)} (in ${wait})`);
  }
  const next = nextStep(status);
  if (next !== undefined) lines.push(...titled("Next", style.cyan(next), page));
  return lines;
}

function renderMode({ mode, changes, processes, at }: MigrationStatus, page: Page): string[] {
  const [last] = changes;
  const since = changes.findLast((change, index) =>
    changes.slice(0, index + 1).every((each) => each.mode === change.mode),
  );
  if (last === undefined || since === undefined || last.mode !== mode) {
    const isGiven = processes.some(({ modeFrom }) => modeFrom !== "database");
    const origin = isGiven ? "not set in the database" : "the default: nobody has set it";
    const other = last === undefined ? origin : `the database says ${last.mode}`;
    return titled("Mode", `${page.style.bold(mode)}, ${other}`, page);
  }
  const why = since.reason === null ? "" : `: ${oneLine(since.reason)}`;
  const text = `since ${time(since.changedAt)} (${ago(since.changedAt, at)}), by ${oneLine(since.changedBy)}${why}`;
  return titled("Mode", `${page.style.bold(mode)}, ${text}`, page);
}

function renderBrownout({ brownout, at }: MigrationStatus, page: Page): string[] {
  if (brownout === null) return [];
  const text = describeBrownout(brownout, at);
  return titled("Brownout", brownout.isOn ? page.style.yellow(text) : text, page);
}

function renderProcesses({ processes, at, mode }: MigrationStatus, page: Page): string[] {
  const { style } = page;
  if (processes.length === 0) {
    return titled(
      "Processes",
      style.yellow("none has served a request in the last 90 seconds"),
      page,
    );
  }
  const rows = processes.map((process) => [
    process.mode === mode ? process.mode : style.yellow(process.mode),
    `${oneLine(process.host)}:${process.pid}`,
    `seen ${ago(process.seenAt, at)}`,
    style.yellow(originOf(process)),
  ]);
  const [first = "", ...rest] = columns(rows);
  return [
    `${style.bold("Processes".padEnd(indent.length))}${first}`,
    ...rest.map((line) => indent + line),
    ...(processes.length > 3
      ? [`${indent}${style.dim(plural(processes.length, "process", "processes"))}`]
      : []),
  ];
}

/** Why a process does not follow the flag in PostgreSQL; empty when it does. */
export function originOf({ modeFrom }: Pick<ProcessStatus, "modeFrom">): string {
  switch (modeFrom) {
    case "option":
      return "mode from the option `mode`";
    case "function":
      return "mode from the function `mode`";
    case "environment":
      return "mode from SESSION_BRIDGE_MODE";
    case "database":
      return "";
  }
}

import type { Measurement } from "./measure.js";
import { bareKoa, oldWay, type Variant } from "./variants.js";

/** What the rounds of a variant in a scenario gave. */
export interface Result {
  readonly variant: Pick<Variant, "id" | "name" | "isOwn">;
  readonly rounds: readonly Measurement[];
}

/** The middle one; of an even number, the mean of the two in the middle. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((one, other) => one - other);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? NaN) + (sorted[Math.ceil(middle)] ?? NaN)) / 2;
}

/** The median of one measure over the rounds. */
export const typical = ({ rounds }: Result, measure: keyof Measurement): number =>
  median(rounds.map((round) => round[measure]));

const heads = [
  "",
  "requests/s",
  "min–max",
  "p50 ms",
  "p99 ms",
  "CPU s per 10k",
  "RSS MB",
  "statements",
  "× koa-session",
  "× bare koa",
];

/** The results of one scenario as a table in Markdown, which can be read as it is. */
export function resultTable(results: readonly Result[]): string {
  const rows = results.map((result) => {
    const speeds = result.rounds.map((round) => round.requestsPerSecond);
    return [
      result.variant.isOwn ? `**${result.variant.name}**` : result.variant.name,
      thousands(median(speeds)),
      `${thousands(Math.min(...speeds))}–${thousands(Math.max(...speeds))}`,
      typical(result, "p50Ms").toFixed(1),
      typical(result, "p99Ms").toFixed(1),
      typical(result, "cpuSecondsPer10k").toFixed(2),
      (typical(result, "residentBytes") / 2 ** 20).toFixed(0),
      typical(result, "statementsPerRequest").toFixed(2),
      ratio(result, results, oldWay),
      ratio(result, results, bareKoa),
    ];
  });
  return markdownTable(heads, rows);
}

function ratio(result: Result, results: readonly Result[], to: string): string {
  const other = results.find(({ variant }) => variant.id === to);
  if (other === undefined) return "–";
  return (typical(result, "requestsPerSecond") / typical(other, "requestsPerSecond")).toFixed(2);
}

/** A whole number with commas between thousands. */
export const thousands = (number: number) => Math.round(number).toLocaleString("en-US");

/** A table as Prettier writes it: the first column to the left, the others to the right. */
export function markdownTable(head: readonly string[], rows: readonly string[][]): string {
  const widths = head.map((name, column) =>
    Math.max(3, name.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => pad(cell, widths[column] ?? 0, column)).join(" | ")} |`;
  const rule = widths.map((width, column) => "-".repeat(width - Number(column > 0)));
  const ruled = rule.map((dashes, column) => (column > 0 ? `${dashes}:` : dashes));
  return [line(head), line(ruled), ...rows.map(line)].join("\n");
}

const pad = (cell: string, width: number, column: number) =>
  column === 0 ? cell.padEnd(width) : cell.padStart(width);

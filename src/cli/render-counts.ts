import type { DayStatus, MigrationStatus, SourceStatus } from "../monitor/migration-status.js";
import type { Page } from "./style.js";
import { columns, number, oneLine, percent } from "./text.js";

const fewestDays = 7;

/**
 * What was counted in 30 days, and the sessions as they stand.
 *
 * @param taken the lines above
 */
export function renderCounts(status: MigrationStatus, page: Page, taken: number): string[] {
  const { style, height } = page;
  const below = [
    ...section("Sessions, by source", renderSources(status, page), page),
    ...section("Who came by cookie alone in the last 7 days", renderStragglers(status, page), page),
    ...section("In 30 days", renderTotals(status), page),
    ...section("Legacy cookies presented, by what became of them", renderOutcomes(status), page),
  ];
  // An empty line, the title, the heading, and a line that the screen keeps for itself.
  const room = height === undefined ? Infinity : height - taken - below.length - 4;
  const days = renderDays(status, page, Math.max(room, fewestDays));
  const key = `${style.yellow("█")} by cookie alone  ${style.cyan("░")} by token`;
  return [...section(`Requests with a session, by day   ${key}`, days, page), ...below];
}

const section = (title: string, lines: readonly string[], { style }: Page) =>
  lines.length === 0 ? [] : ["", style.bold(title), ...lines.map((line) => `  ${line}`)];

function renderDays(
  { days, sources, brownouts }: MigrationStatus,
  { style, width }: Page,
  most: number,
): string[] {
  const first = days.findIndex(({ legacy, bearer, dropped }) => legacy + bearer + dropped > 0);
  if (first < 0) return [style.dim("no request has been counted")];
  const shown = days.slice(first).slice(-most);
  const names = sources
    .map(({ name }) => name)
    .filter((name) => days.some(({ hits }) => hits[name]));
  const hasDropped = shown.some(({ dropped }) => dropped > 0);
  const hasBrownouts = Object.values(brownouts).some((count) => count > 0);
  const isSplit = names.length > 1;
  const title = [
    "day",
    "cookie alone",
    ...(isSplit ? names : []),
    "token",
    ...(hasDropped ? ["dropped"] : []),
    "",
  ];
  const rows = shown.map((day) => [
    day.day,
    number(day.legacy),
    ...(isSplit ? names.map((name) => number(day.hits[name] ?? 0)) : []),
    number(day.bearer),
    ...(hasDropped ? [number(day.dropped)] : []),
  ]);
  const lines = columns([title.map((cell) => style.dim(cell)), ...rows]);
  const taken =
    Math.max(...columns([title.map((cell) => cell), ...rows]).map(({ length }) => length)) + 4;
  const highest = Math.max(...shown.map(({ legacy, bearer }) => legacy + bearer));
  const bars = shown.map((day) => bar(day, highest, Math.max(8, Math.min(50, width - taken - 1))));
  const [head = "", ...rest] = lines;
  return [
    head,
    ...rest.map((line, index) => {
      const { legacy, bearer } = bars[index] ?? { legacy: 0, bearer: 0 };
      return `${line.padEnd(taken - 2)}${style.yellow("█".repeat(legacy))}${style.cyan("░".repeat(bearer))}`;
    }),
    ...(hasBrownouts ? [style.dim("those that a brownout refused are among “cookie alone”")] : []),
  ];
}

// Whatever there was is seen, however little.
function bar({ legacy, bearer }: DayStatus, highest: number, width: number) {
  const scale = (count: number) =>
    count === 0 ? 0 : Math.max(1, Math.round((count / highest) * width));
  return { legacy: scale(legacy), bearer: scale(bearer) };
}

function renderSources(
  { sources, lastCookieExpiresAt, mode }: MigrationStatus,
  { style }: Page,
): string[] {
  if (sources.length === 0) return [];
  const title = ["", "live", "adopted", "cookie alone", "not come back", "last cookie expires"];
  const rows = sources.map((source) => [
    source.name,
    number(source.live),
    number(source.adopted),
    number(source.remaining),
    source.notUpgraded === null ? style.dim("cannot be counted") : number(source.notUpgraded.count),
    endOf(source),
  ]);
  const unknown = sources.reduce((total, { withoutExpiry }) => total + withoutExpiry, 0);
  const last = lastCookieExpiresAt?.toISOString().slice(0, 10);
  const given = mode === "drain" || mode === "tokens" ? "" : " (new ones are still given out)";
  const open = unknown > 0 ? `; of ${number(unknown)} the end is not known` : "";
  return [
    ...columns([title.map((cell) => style.dim(cell)), ...rows]),
    ...(last === undefined
      ? []
      : [`The last cookie expires on ${style.bold(last)}${open}${given}.`]),
  ];
}

function endOf({ lastExpiresAt, withoutExpiry, notUpgraded }: SourceStatus): string {
  const ends = [lastExpiresAt, notUpgraded?.lastExpiresAt ?? null].filter((end) => end !== null);
  const known =
    ends.length > 0 ? new Date(Math.max(...ends.map(Number))).toISOString().slice(0, 10) : "-";
  return withoutExpiry > 0 ? `${known}, not known of ${number(withoutExpiry)}` : known;
}

function renderTotals(status: MigrationStatus): string[] {
  const { requests, refreshes, refusals } = status;
  const all = Object.values(requests).reduce((sum, count) => sum + count, 0);
  const share = (count: number) => [number(count), percent(count, all)];
  const unauthorized = refusals["invalid-token"] ?? 0;
  const unavailable = sumOf(refusals, [
    "store-unavailable",
    "schema-missing",
    "store-misconfigured",
    "legacy-store-unavailable",
  ]);
  const left: string[][] = [
    ["Requests", number(all), ""],
    ["  by token", ...share(requests.bearer)],
    ["  by cookie", ...share(requests.legacy)],
    ["  with neither", ...share(requests.none)],
    ["  token refused", ...share(requests.invalid)],
    ["  refresh", ...share(requests.refresh)],
    ["", "", ""],
  ];
  const refreshed = (refreshes["rotated"] ?? 0) + (refreshes["repeated"] ?? 0);
  const right: [string, number][][] = [
    [
      ["Upgraded", status.upgraded],
      ["401", unauthorized],
    ],
    [
      ["Offered", status.offered],
      ["503", unavailable],
    ],
    [
      ["Adopted", status.adopted],
      ["Merged", status.merged],
    ],
    [
      ["Refreshed", refreshed],
      ["Errors", status.errors],
    ],
    [["Reused", refreshes["reused"] ?? 0]],
  ];
  return columns(
    left
      .map((row, index) => [
        ...row,
        ...(right[index] ?? []).flatMap(([name, count]) => [`   ${name}`, number(count)]),
      ])
      .filter((row) => row.some((cell) => cell !== "")),
  );
}

const sumOf = (counts: Readonly<Record<string, number>>, names: readonly string[]) =>
  names.reduce((sum, name) => sum + (counts[name] ?? 0), 0);

function renderOutcomes({ legacyCookies, brownouts }: MigrationStatus): string[] {
  const names = ["hit", "redundant", "missed", "unverified", "retired", "dropped"] as const;
  const sources = Object.entries(legacyCookies);
  const counted = sources.filter(
    ([name, outcomes]) => names.some((each) => outcomes[each] > 0) || (brownouts[name] ?? 0) > 0,
  );
  if (counted.length === 0) return [];
  // What never came takes no place.
  const shown = names.filter(
    (each) => each === "hit" || counted.some(([, outcomes]) => outcomes[each] > 0),
  );
  const hasBrownouts = counted.some(([name]) => (brownouts[name] ?? 0) > 0);
  const rows = counted.map(([name, outcomes]) => [
    name,
    ...shown.map((each) => number(outcomes[each])),
    ...(hasBrownouts ? [number(brownouts[name] ?? 0)] : []),
  ]);
  return columns([["", ...shown, ...(hasBrownouts ? ["by brownouts"] : [])], ...rows]);
}

function renderStragglers({ stragglers, sources }: MigrationStatus, { style }: Page): string[] {
  const rows = stragglers.map(({ source, labels, hits, lastDay }) => [
    number(hits),
    oneLine(
      Object.entries(labels)
        .map(([name, value]) => `${name}=${value}`)
        .join(" "),
    ) || style.dim("(no labels)"),
    ...(sources.length > 1 ? [source] : []),
    style.dim(`last on ${lastDay}`),
  ]);
  return columns(rows);
}

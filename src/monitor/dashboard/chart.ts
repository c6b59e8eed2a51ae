import type { ModeChange } from "../../store/mode-log.js";
import type { DayStatus } from "../migration-status.js";
import { capital, count, day as dayText } from "./format.js";
import { markup, type Markup } from "./markup.js";

const height = 250;
const top = 34;
const bottom = height - 26;

interface Line {
  readonly name: "bearer" | "legacy" | "dropped";
  readonly title: string;
  of(day: DayStatus): number;
}

const lines: readonly Line[] = [
  { name: "bearer", title: "with a token", of: ({ bearer }) => bearer },
  { name: "legacy", title: "by cookie alone", of: ({ legacy }) => legacy },
];
const droppedLine: Line = { name: "dropped", title: "refused cookies", of: (day) => day.dropped };

/**
 * Requests by day as a picture and as a table, which say the same. The picture is as wide as its place, its
 * text as large as all text; the last day is dashed, since it is not over. Changes of the mode are marked.
 */
export function chart(days: readonly DayStatus[], changes: readonly ModeChange[]): Markup {
  const shown = days.some(({ dropped }) => dropped > 0) ? [...lines, droppedLine] : lines;
  const most = Math.max(0, ...days.flatMap((day) => shown.map((line) => line.of(day))));
  const step = niceStep(most / 4);
  const limit = Math.max(1, Math.ceil(most / step)) * step;
  const x = (index: number) => ((index + 0.5) / days.length) * 100;
  const y = (value: number) => bottom - (value / limit) * (bottom - top);
  return markup`
    <ul class="legend" aria-hidden="true">${shown.map((line) => markup`<li class="${line.name}">${line.title}</li>`)}</ul>
    <svg class="chart" width="100%" height="${height}" role="img" aria-labelledby="curve-title" aria-describedby="curve-text">
      <title id="curve-title">Requests with a session by day</title>
      <desc id="curve-text">${describe(days, shown)}</desc>
      ${ticks(limit, step).map(
        (value) => markup`<line class="grid" x1="0" x2="100%" y1="${y(value)}" y2="${y(value)}"/>`,
      )}
      ${days.map((day, index) => mark(modeOf(day, changes), x(index)))}
      <svg width="100%" height="${height}" viewBox="0 0 100 ${height}" preserveAspectRatio="none" aria-hidden="true">
        ${shown.map((line) => path(days, line, x, y))}
      </svg>
      ${shown.map((line) => today(days, line, x, y))}
      ${days.map((day, index) => column(day, index, days.length, shown))}
      ${ticks(limit, step).map((value) => markup`<text x="0" y="${y(value) - 5}">${short(value)}</text>`)}
      ${days.map((day, index) => label(day, index, days.length, x))}
    </svg>
    <details>
      <summary>The same as a table</summary>
      <div class="scroll" tabindex="0" role="group" aria-label="Requests with a session by day, table">
        <table>
          <caption>Requests with a session by day (UTC); the last day is not over</caption>
          <thead><tr><th scope="col">Day</th>${shown.map((line) => markup`<th scope="col" class="number">${capital(line.title)}</th>`)}</tr></thead>
          <tbody>${days
            .toReversed()
            .map(
              (day) =>
                markup`<tr><th scope="row">${dayText(day.day)}</th>${shown.map((line) => markup`<td class="number">${count(line.of(day))}</td>`)}</tr>`,
            )}</tbody>
        </table>
      </div>
    </details>`;
}

type Scale = (value: number) => number;

function path(days: readonly DayStatus[], line: Line, x: Scale, y: Scale): Markup {
  const points = days.map((day, index) => `${x(index).toFixed(2)} ${y(line.of(day)).toFixed(1)}`);
  const past = points.slice(0, -1).join("L");
  const [before = "0 0", now = "0 0"] = points.slice(-2);
  const [from = "0", until = "0"] = [points[0], before].map((point) => point?.split(" ")[0] ?? "0");
  return markup`<path class="area ${line.name}" d="M${past}L${until} ${bottom}L${from} ${bottom}Z"/>
        <path class="line ${line.name}" d="M${past}"/>
        <path class="line ${line.name} unfinished" d="M${before}L${now}"/>`;
}

function today(days: readonly DayStatus[], line: Line, x: Scale, y: Scale): Markup | undefined {
  const last = days.at(-1);
  if (last === undefined) return undefined;
  return markup`<circle class="${line.name}" cx="${x(days.length - 1).toFixed(2)}%" cy="${y(line.of(last)).toFixed(1)}" r="4"/>`;
}

/** The mode that a day ended with, when it was changed on that day. */
function modeOf({ day }: DayStatus, changes: readonly ModeChange[]): string | undefined {
  const ofDay = changes.filter(({ changedAt }) => changedAt.toISOString().startsWith(day));
  return ofDay.find(({ mode, from }) => mode !== from)?.mode;
}

function mark(mode: string | undefined, x: number): Markup | undefined {
  if (mode === undefined) return undefined;
  const at = `${x.toFixed(2)}%`;
  const anchor = x > 85 ? "end" : "start";
  return markup`<line class="mark" x1="${at}" x2="${at}" y1="4" y2="${bottom}"/><text class="${anchor}" x="${at}" y="12" dx="${anchor === "end" ? -6 : 6}">${mode}</text>`;
}

// Shown by a pointer; everybody else has the table.
function column(day: DayStatus, index: number, all: number, shown: readonly Line[]): Markup {
  const told = shown.map((line) => `${count(line.of(day))} ${line.title}`).join("\n");
  return markup`<g class="day"><rect x="${((index / all) * 100).toFixed(2)}%" width="${(100 / all).toFixed(2)}%" y="0" height="${bottom}"><title>${dayText(day.day)}
${told}</title></rect></g>`;
}

function label(day: DayStatus, index: number, all: number, x: Scale): Markup | undefined {
  const age = all - 1 - index;
  if (age % 7 !== 0) return undefined;
  const anchor = age === 0 ? "end" : "middle";
  const at = age === 0 ? 100 : x(index);
  return markup`<text class="${anchor}" x="${at.toFixed(2)}%" y="${height - 6}">${age === 0 ? "today" : dayText(day.day)}</text>`;
}

function describe(days: readonly DayStatus[], shown: readonly Line[]): string {
  const [first, last] = [days[0], days.at(-2) ?? days[0]];
  if (first === undefined || last === undefined) return "There are no days.";
  const told = shown.map(
    (line) => `${line.title} from ${count(line.of(first))} to ${count(line.of(last))}`,
  );
  return `From ${dayText(first.day)} to ${dayText(last.day)}: ${told.join(", ")} requests a day. The table below has every day.`;
}

/** 1, 2 or 5 times a power of ten, at least 1. */
function niceStep(atLeast: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(atLeast, 1)));
  const factor = [1, 2, 5, 10].find((factor) => factor * power >= atLeast) ?? 10;
  return factor * power;
}

const ticks = (limit: number, step: number) =>
  Array.from({ length: Math.round(limit / step) + 1 }, (_, index) => index * step);

const short = (value: number) =>
  value >= 1_000_000
    ? `${value / 1_000_000} M`
    : value >= 10_000
      ? `${value / 1000} k`
      : count(value);

import { stripVTControlCharacters } from "node:util";

const widthOf = (text: string) => stripVTControlCharacters(text).length;

/** Lines of cells in aligned columns; a column of numbers stands to the right, with its heading. */
export function columns(rows: readonly (readonly string[])[], gap = "  "): string[] {
  const widths: number[] = [];
  const areNumbers: boolean[] = [];
  for (const [at, row] of rows.entries()) {
    for (const [index, cell] of row.entries()) {
      widths[index] = Math.max(widths[index] ?? 0, widthOf(cell));
      const fits = cell === "" || isNumber(cell) || (at === 0 && rows.length > 1);
      areNumbers[index] = (areNumbers[index] ?? true) && fits;
    }
  }
  return rows.map((row) =>
    row
      .map((cell, index) => {
        const space = " ".repeat((widths[index] ?? 0) - widthOf(cell));
        return areNumbers[index] === true ? space + cell : cell + space;
      })
      .join(gap)
      .trimEnd(),
  );
}

const isNumber = (cell: string) => /^<?[\d,.]+(?: %)?$/.test(stripVTControlCharacters(cell).trim());

/** Breaks a text at spaces; the first line begins with one indentation, the others with another. */
export function wrap(text: string, width: number, first = "", others = first): string[] {
  const lines: string[] = [];
  let line = first;
  let isEmpty = true;
  for (const word of text.split(" ")) {
    if (!isEmpty && widthOf(line) + 1 + widthOf(word) > width) {
      lines.push(line);
      line = others;
      isEmpty = true;
    }
    line += isEmpty ? word : ` ${word}`;
    isEmpty = false;
  }
  return [...lines, line];
}

/** The start of a line that fits a width; its colours are kept in order. */
export function cut(line: string, width: number): string {
  if (widthOf(line) <= width) return line;
  let room = width - 1;
  let isCut = false;
  return line.replace(/(\u001b\[[\d;]*m)|[^\u001b]/gu, (character, colour: string | undefined) => {
    if (colour !== undefined) return colour;
    if (room > 0) {
      room -= 1;
      return character;
    }
    const first = !isCut;
    isCut = true;
    return first ? "…" : "";
  });
}

export const number = (count: number) => count.toLocaleString("en-US");

/** A count with its noun. */
export const plural = (count: number, one: string, many = `${one}s`) =>
  `${number(count)} ${count === 1 ? one : many}`;

/** A part of a whole; of a small one that it is not nothing. */
export function percent(part: number, whole: number): string {
  if (whole === 0 || part === 0) return "0 %";
  const share = (part / whole) * 100;
  return share < 0.01 ? "<0.01 %" : `${share.toFixed(share < 10 ? 2 : 1)} %`;
}

/** Such as 2026-11-21 18:50 UTC. */
export const time = (date: Date) => `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`;

const units = [
  ["day", 86_400],
  ["h", 3600],
  ["min", 60],
  ["s", 1],
] as const;

/** A length of time in its largest unit, or two where that is more exact. */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const index = units.findIndex(([, size]) => whole >= size);
  const [unit, size] = units[index] ?? ["s", 1];
  const count = Math.floor(whole / size);
  const name = unit === "day" && count !== 1 ? "days" : unit;
  const [smaller, smallerSize] = units[index + 1] ?? ["", 1];
  const rest = Math.floor((whole - count * size) / smallerSize);
  const isExact = count < 10 && smaller !== "" && rest > 0;
  return isExact ? `${count} ${name} ${rest} ${smaller}` : `${count} ${name}`;
}

export const ago = (date: Date, now: Date) =>
  `${span((now.getTime() - date.getTime()) / 1000)} ago`;

/** A person's text for one line of a terminal: it may have been written by anybody. */
export const oneLine = (text: string) => text.replace(/\p{Control}+/gu, " ");

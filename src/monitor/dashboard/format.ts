import { markup, type Markup } from "./markup.js";

const months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/** 12,345 */
export const count = (value: number) => value.toLocaleString("en-US");

/** 1 session; 2 sessions */
export const plural = (value: number, one: string, many = `${one}s`) =>
  `${count(value)} ${value === 1 ? one : many}`;

/** Hit */
export const capital = (text: string) => text.slice(0, 1).toUpperCase() + text.slice(1);

/** 12.34 %; a share that is not nothing never reads as nothing. */
export function percent(share: number): string {
  if (share > 0 && share < 0.0001) return "under 0.01 %";
  return `${Number((share * 100).toFixed(2))} %`;
}

/** 21 Nov */
export const day = (date: string) =>
  `${Number(date.slice(8, 10))} ${months[Number(date.slice(5, 7)) - 1]}`;

/** 21 Nov 2026 */
export const dateOf = (date: Date) => `${day(date.toISOString())} ${date.getUTCFullYear()}`;

/** 18:45:03 UTC */
export const timeOf = (date: Date) => `${date.toISOString().slice(11, 19)} UTC`;

/** 21 Nov 2026, 18:45 UTC */
export const moment = (date: Date): Markup =>
  markup`<time datetime="${date.toISOString()}">${dateOf(date)}, ${date.toISOString().slice(11, 16)} UTC</time>`;

/** 90 s; 5 min; 3 h; 2 d */
export function duration(seconds: number): string {
  const units: [number, string][] = [
    [86_400, "d"],
    [3600, "h"],
    [60, "min"],
  ];
  const [size, unit] = units.find(([size]) => seconds >= 2 * size) ?? [1, "s"];
  return `${Math.round(seconds / size)} ${unit}`;
}

import type { Page } from "./style.js";
import { oneLine, wrap } from "./text.js";

/** What a check of the doctor has found. */
export interface Finding {
  readonly level: "ok" | "warning" | "problem";
  readonly check: string;
  readonly text: string;
  /** What to do; absent where all is well. */
  readonly advice?: string;
}

export const ok = (check: string, text: string): Finding => ({ level: "ok", check, text });

export const warning = (check: string, text: string, advice: string): Finding => ({
  level: "warning",
  check,
  text,
  advice,
});

export const problem = (check: string, text: string, advice: string): Finding => ({
  level: "problem",
  check,
  text,
  advice,
});

const checkWidth = 14;

export function renderFindings(findings: readonly Finding[], { style, width }: Page): string[] {
  const marks = {
    ok: style.green("ok     "),
    warning: style.yellow("warning"),
    problem: style.red("problem"),
  };
  const indent = " ".repeat(7 + 2 + checkWidth);
  return findings.flatMap(({ level, check, text, advice }) => {
    const first = `${marks[level]}  ${check.padEnd(checkWidth)}`;
    const lines = wrap(oneLine(text), width, first, indent);
    return advice === undefined
      ? lines
      : [...lines, ...wrap(oneLine(advice), width, `${indent}→ `, `${indent}  `)];
  });
}

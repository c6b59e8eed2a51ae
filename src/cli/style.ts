import { styleText } from "node:util";

type Format = Parameters<typeof styleText>[0];

/** Text in colour where that is wanted, else as it is. */
export interface Style {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly red: (text: string) => string;
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
  readonly cyan: (text: string) => string;
}

/** How a page of text is drawn. */
export interface Page {
  readonly style: Style;
  /** Characters in a line. */
  readonly width: number;
  /** Lines that fit, where it matters: fewer days are shown then. */
  readonly height?: number;
}

/**
 * Colour for a terminal only. `FORCE_COLOR` (anything but 0) wants it everywhere, `NO_COLOR` nowhere; the
 * first of them wins, as in Node.js.
 */
export function createStyle(stream: { isTTY?: boolean }, env = process.env): Style {
  const isColoured = wantsColour(stream, env);
  const paint = (format: Format) => (text: string) =>
    // The stream has been looked at above.
    isColoured ? styleText(format, text, { validateStream: false }) : text;
  return {
    bold: paint("bold"),
    dim: paint("dim"),
    red: paint("red"),
    green: paint("green"),
    yellow: paint("yellow"),
    cyan: paint("cyan"),
  };
}

function wantsColour(stream: { isTTY?: boolean }, env: NodeJS.ProcessEnv): boolean {
  const { FORCE_COLOR, NO_COLOR, TERM } = env;
  if (FORCE_COLOR !== undefined) return FORCE_COLOR !== "0" && FORCE_COLOR !== "false";
  if (NO_COLOR !== undefined && NO_COLOR !== "") return false;
  return stream.isTTY === true && TERM !== "dumb";
}

import { cut } from "./text.js";

/** A part of the terminal that is drawn over and over. */
export interface Screen {
  draw(lines: readonly string[]): void;
  /** Leaves what was drawn last, and the terminal as it was. */
  close(): void;
}

const home = "\u001b[H";
const clearLine = "\u001b[K";
const clearBelow = "\u001b[J";
const hideCursor = "\u001b[?25l";
const showCursor = "\u001b[?25h";
const clearAll = "\u001b[2J";

/** Draws over what was there, so that nothing flickers; where there is no terminal, one below the other. */
export function createScreen(stream: NodeJS.WriteStream): Screen {
  if (!stream.isTTY) {
    return {
      draw: (lines) => {
        stream.write(`${lines.join("\n")}\n\n`);
      },
      close: () => undefined,
    };
  }
  let isOpen = false;
  let drawn: readonly string[] = [];
  const draw = () => {
    const rows = stream.rows - 1;
    const isCut = drawn.length > rows;
    const shown = isCut ? drawn.slice(0, rows - 1) : drawn;
    const rest = isCut ? [`… ${drawn.length - shown.length} more lines in a taller window`] : [];
    const text = [...shown, ...rest]
      .map((line) => `${cut(line, stream.columns)}${clearLine}\n`)
      .join("");
    stream.write(`${home}${text}${clearBelow}`);
  };
  return {
    draw(lines) {
      if (!isOpen) {
        stream.write(`${hideCursor}${clearAll}`);
        stream.on("resize", draw);
      }
      isOpen = true;
      drawn = lines;
      draw();
    },
    close() {
      if (!isOpen) return;
      isOpen = false;
      stream.off("resize", draw);
      stream.write(showCursor);
    },
  };
}

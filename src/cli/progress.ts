/** A line on stderr that tells how far a long command is: a bar in a terminal, else now and then a line. */
export interface Progress {
  /** @param share done so far, from 0 to 1 */
  show(share: number, text: string): void;
  /** Leaves the line as it is. */
  end(): void;
}

const barWidth = 24;
const redrawInMs = 100;
const lineInMs = 5000;

export function createProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  const isTerminal = stream.isTTY;
  let shownAt = -Infinity;
  let isOpen = false;
  return {
    show(share, text) {
      const now = performance.now();
      if (share < 1 && now - shownAt < (isTerminal ? redrawInMs : lineInMs)) return;
      shownAt = now;
      const part = Math.min(Math.max(share, 0), 1);
      const percent = `${Math.floor(part * 100)}`.padStart(3);
      if (!isTerminal) {
        stream.write(`${percent} % ${text}\n`);
        return;
      }
      const full = Math.round(part * barWidth);
      const bar = `${"█".repeat(full)}${"░".repeat(barWidth - full)}`;
      const line = `${bar} ${percent} %  ${text}`.slice(0, stream.columns - 1);
      stream.write(`\r\u001b[K${line}`);
      isOpen = true;
    },
    end() {
      if (isOpen) stream.write("\n");
      isOpen = false;
    },
  };
}

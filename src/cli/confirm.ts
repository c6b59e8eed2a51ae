import { createInterface } from "node:readline/promises";

/** Where somebody is asked. */
export interface Terminal {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly output: NodeJS.WritableStream & { readonly isTTY?: boolean };
}

const ownTerminal: Terminal = { input: process.stdin, output: process.stderr };

/** Whether somebody can be asked. */
export const canAsk = ({ input, output } = ownTerminal): boolean =>
  input.isTTY === true && output.isTTY === true;

/** Asks in the terminal; anything but y or yes is a no. */
export async function confirm(question: string, { input, output } = ownTerminal): Promise<boolean> {
  const terminal = createInterface({ input, output });
  try {
    // Ctrl-C and Ctrl-D end the line without an answer.
    const gone = new Promise<undefined>((resolve) => {
      terminal.once("close", () => {
        resolve(undefined);
      });
    });
    const answer = await Promise.race([terminal.question(`${question} [y/N] `), gone]);
    if (answer === undefined) output.write("\n");
    return /^y(es)?$/i.test(answer?.trim() ?? "");
  } finally {
    terminal.close();
  }
}

/** Asks, where somebody can be asked; tells when that is no leave to change the flag. */
export async function isConfirmed(question: string, terminal = ownTerminal): Promise<boolean> {
  const canBeAsked = canAsk(terminal);
  if (canBeAsked && (await confirm(question, terminal))) return true;
  const hint = canBeAsked ? "" : " With --yes it is set all the same.";
  terminal.output.write(`Nothing was changed.${hint}\n`);
  return false;
}

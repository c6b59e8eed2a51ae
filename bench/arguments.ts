import { parseArgs, type ParseArgsConfig } from "node:util";

type Options = NonNullable<ParseArgsConfig["options"]>;
type Values<O extends Options> = ReturnType<typeof parseArgs<{ options: O }>>["values"];

/** Told with the help, exit code 2. */
export class UsageError extends Error {}

/** Reads the command line and runs `work` with what it says; gives the exit code. */
export async function withArguments<const O extends Options>(
  help: string,
  options: O,
  work: (values: Values<O>) => Promise<number>,
): Promise<number> {
  if (process.argv.slice(2).some((arg) => arg === "--help" || arg === "-h")) {
    process.stdout.write(help);
    return 0;
  }
  try {
    return await work(parse(options));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\n\n${help}`);
    return 2;
  }
}

function parse<const O extends Options>(options: O): Values<O> {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** A whole number of at least `least`, such as `5000`, `100k` or `10m`. */
export function wholeNumber(flag: string, text: string, least = 1): number {
  const [, digits, unit = ""] = /^(\d+)([km]?)$/i.exec(text) ?? [];
  const factor = { k: 1_000, m: 1_000_000 }[unit.toLowerCase()] ?? 1;
  const number = digits === undefined ? Number.NaN : Number(digits) * factor;
  if (!(number >= least && Number.isSafeInteger(number))) {
    throw new UsageError(
      `--${flag} must be a whole number of at least ${least}, such as 5000 or 10k; it is "${text}".`,
    );
  }
  return number;
}

/** Some of `known`, separated by commas. */
export function someOf(flag: string, text: string, known: readonly string[]): string[] {
  const given = text.split(",").map((each) => each.trim());
  const unknown = given.find((each) => !known.includes(each));
  if (unknown !== undefined) {
    throw new UsageError(`--${flag} knows no "${unknown}"; there are ${known.join(", ")}.`);
  }
  return given;
}

import { parseArgs, type ParseArgsConfig } from "node:util";
import { nearest } from "./nearest.js";

type Options = NonNullable<ParseArgsConfig["options"]>;
type Parsed<O extends Options> = ReturnType<
  typeof parseArgs<{ options: O; allowPositionals: true }>
>;

/** One command of the command line. */
export interface Command {
  readonly name: string;
  readonly summary: string;
  readonly help: string;
  /** Parses and runs; gives the exit code. */
  run(args: string[]): Promise<number>;
}

/** Wrong usage: told on stderr with the way to the help, exit code 2. */
export class UsageError extends Error {}

/** A failure that needs no stack trace: told on stderr, exit code 1. */
export class CommandError extends Error {}

/**
 * Defines a command. `run` gives the exit code; a {@link UsageError} or {@link CommandError} is told as
 * what it is.
 */
export function defineCommand<const O extends Options>(definition: {
  name: string;
  summary: string;
  help: string;
  options: O;
  /** How many arguments there may be beside the options. Default none. */
  maximumPositionals?: number;
  /** Of options whose value may be left out. */
  defaultValues?: Readonly<Record<string, string>>;
  run: (values: Parsed<O>["values"], positionals: string[]) => Promise<number>;
}): Command {
  const { name, summary, help, options, maximumPositionals = 0, run } = definition;
  const { defaultValues = {} } = definition;
  return {
    name,
    summary,
    help,
    async run(args) {
      if (args.includes("--help") || args.includes("-h")) {
        process.stdout.write(help);
        return 0;
      }
      const { values, positionals } = parse(fillIn(args, defaultValues), options);
      if (positionals.length > maximumPositionals)
        throw new UsageError(`Unexpected argument '${positionals[maximumPositionals]}'.`);
      return run(values, positionals);
    },
  };
}

function fillIn(args: string[], defaultValues: Readonly<Record<string, string>>): string[] {
  return args.map((arg, index) => {
    const preset = defaultValues[arg.replace(/^--/, "")];
    const next = args[index + 1];
    const isBare = arg.startsWith("--") && (next === undefined || next.startsWith("-"));
    return preset !== undefined && isBare ? `${arg}=${preset}` : arg;
  });
}

function parse<const O extends Options>(args: string[], options: O): Parsed<O> {
  try {
    return parseArgs({ args, options, strict: true, allowPositionals: true });
  } catch (error) {
    throw new UsageError(tellOf(error as Error, Object.keys(options)));
  }
}

// Node.js goes on to tell of its own rules for arguments.
function tellOf({ message }: Error, names: readonly string[]): string {
  const [sentence = ""] = message
    .replace("argument is ambiguous", "argument missing")
    .split(/\.\s/);
  const [, unknown] = /^Unknown option '--?([^']*)'/.exec(sentence) ?? [];
  const near = unknown === undefined ? undefined : nearest(unknown, [...names, "help"]);
  const hint = near === undefined ? "" : ` Did you mean --${near}?`;
  return `${sentence.replace(/\.$/, "")}.${hint}`;
}

/** A number above zero from an option. */
export function positive(option: string, given: string | undefined, fallback: number): number {
  if (given === undefined) return fallback;
  const number = Number(given);
  if (given.trim() !== "" && Number.isFinite(number) && number > 0) return number;
  throw new UsageError(`${option} must be a number above 0, got ${JSON.stringify(given)}.`);
}

const secondsIn = { s: 1, m: 60, h: 3600, d: 86_400 } as const;
// Ten years: far longer, and the end of it is no date any more.
const longestInSeconds = 3650 * secondsIn.d;

/** A duration such as 90s, 5m, 1h or 2d, in seconds; at most ten years. */
export function duration(option: string, given: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)([smhd])$/.exec(given) ?? [];
  const seconds = Number(amount) * secondsIn[unit as keyof typeof secondsIn];
  if (seconds > 0 && seconds <= longestInSeconds) return seconds;
  throw new UsageError(
    `${option} must be a duration such as 90s, 5m, 1h or 2d, at most 3650d, got ${JSON.stringify(given)}.`,
  );
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

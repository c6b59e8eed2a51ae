import { parseArgs, type ParseArgsConfig } from "node:util";

type Options = NonNullable<ParseArgsConfig["options"]>;

/** The parsed options, or the exit code when help or a usage error has been printed. */
export function readArguments<const O extends Options>(
  args: string[],
  help: string,
  options: O,
): ReturnType<typeof parseArgs<{ options: O }>>["values"] | 0 | 2 {
  try {
    if (args.includes("--help") || args.includes("-h")) {
      process.stdout.write(help);
      return 0;
    }
    return parseArgs({ args, options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${help}`);
    return 2;
  }
}

#!/usr/bin/env node
import { type Command, CommandError, UsageError } from "./command.js";
import { reasonOf } from "./connection.js";
import { keygen } from "./keygen.js";
import { migrateCommand } from "./migrate.js";

const commands: readonly Command[] = [migrateCommand, keygen];

const width = Math.max(...commands.map(({ name }) => name.length));
const help = `Usage: koa-session-bridge <command> [options]

Commands:
${commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join("\n")}

Run koa-session-bridge <command> --help for its options and examples.
`;

/** Exit codes: 0 done, 1 failed, 2 wrong usage; a command's help tells of others. */
async function main([first, ...rest]: string[]): Promise<number> {
  if (first === "--help" || first === "-h" || (first === "help" && rest.length === 0)) {
    process.stdout.write(help);
    return 0;
  }
  const [name, ...args] = first === "help" ? [rest[0], "--help"] : [first, ...rest];
  const command = commands.find((each) => each.name === name);
  if (command !== undefined) return run(command, args);
  process.stderr.write(name === undefined ? help : `Unknown command "${name}".\n\n${help}`);
  return 2;
}

async function run(command: Command, args: string[]): Promise<number> {
  try {
    return await command.run(args);
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`${error.message}\n\n${command.help}`);
      return 2;
    }
    process.stderr.write(`${error instanceof CommandError ? error.message : reasonOf(error)}\n`);
    return 1;
  }
}

process.exitCode = await main(process.argv.slice(2));

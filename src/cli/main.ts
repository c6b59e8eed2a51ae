#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { type Command, CommandError, UsageError } from "./command.js";
import { reasonOf } from "./connection.js";
import { backfill } from "./backfill.js";
import { brownoutCommand } from "./brownout.js";
import { cleanupCommand } from "./cleanup.js";
import { doctorCommand } from "./doctor.js";
import { keygen } from "./keygen.js";
import { migrateCommand } from "./migrate.js";
import { modeCommand } from "./mode.js";
import { sessionsCommand } from "./sessions.js";
import { statusCommand } from "./status.js";

// In the order in which an operator needs them.
const commands: readonly Command[] = [
  keygen,
  migrateCommand,
  statusCommand,
  modeCommand,
  brownoutCommand,
  doctorCommand,
  backfill,
  sessionsCommand,
  cleanupCommand,
];

const width = Math.max(...commands.map(({ name }) => name.length));
const help = `Usage: koa-session-bridge <command> [options]

Commands:
${commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join("\n")}

koa-session-bridge <command> --help, or help <command>, tells its options, with examples.
koa-session-bridge --version tells the version.
`;

/** Exit codes: 0 done, 1 failed, 2 wrong usage; a command's help tells of others. */
async function main([first, ...rest]: string[]): Promise<number> {
  if (first === "--version" || first === "-v") {
    process.stdout.write(`${version()}\n`);
    return 0;
  }
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

function version(): string {
  const file = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}

async function run(command: Command, args: string[]): Promise<number> {
  try {
    return await command.run(args);
  } catch (error) {
    return tell(error, command);
  }
}

function tell(error: unknown, command?: Command): number {
  if (error instanceof UsageError) {
    // The usage alone: the whole help would scroll the message away.
    const [usage = ""] = command?.help.split("\n\n", 1) ?? [];
    const more = command && `\n${usage}\n\nMore: koa-session-bridge ${command.name} --help\n`;
    process.stderr.write(`${error.message}\n${more ?? ""}`);
    return 2;
  }
  process.stderr.write(`${error instanceof CommandError ? error.message : reasonOf(error)}\n`);
  return 1;
}

// Whoever reads the output may stop reading, as head does.
process.stdout.on("error", ({ code }: NodeJS.ErrnoException) =>
  process.exit(code === "EPIPE" ? 0 : 1),
);
// An application that --app imports may fail by itself.
process.on("uncaughtException", (error) => process.exit(tell(error)));

process.exitCode = await main(process.argv.slice(2));
// What such an application keeps open must not keep the program up.
setTimeout(() => process.exit(), 100).unref();

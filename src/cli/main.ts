#!/usr/bin/env node
import { keygen } from "./keygen.js";
import { migrateCommand } from "./migrate.js";

const help = `Usage: koa-session-bridge <command> [options]

Commands:
  migrate   create or update the tables in PostgreSQL
  keygen    make a signing key

Run koa-session-bridge <command> --help for its options and examples.
`;

const commands = new Map([
  ["migrate", migrateCommand],
  ["keygen", keygen],
]);

/** Exit codes: 0 done, 1 failed, 2 wrong usage. */
async function main(args: string[]): Promise<number> {
  const [name, ...rest] = args;
  const command = name === undefined ? undefined : commands.get(name);
  if (command !== undefined) return command(rest);
  const asked = name === "--help" || name === "-h" || name === "help";
  if (asked) process.stdout.write(help);
  else process.stderr.write(name === undefined ? help : `Unknown command "${name}".\n\n${help}`);
  return asked ? 0 : 2;
}

process.exitCode = await main(process.argv.slice(2));

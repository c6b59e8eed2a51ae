import { readFile } from "node:fs/promises";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { createSessionStore, type SigningKey } from "../../src/tokens/index.js";
import { cli, cliFile } from "../support/cli.js";
import { databaseUrl, withAdmin } from "../support/template-database.js";

const commands = [
  "keygen",
  "migrate",
  "status",
  "mode",
  "brownout",
  "sessions",
  "cleanup",
  "doctor",
];

describe("help and wrong usage", () => {
  test("--help, -h and help print the commands, exit code 0", async () => {
    for (const argument of ["--help", "-h", "help"]) {
      const { code, stdout, stderr } = await cli([argument]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toMatch(/^Usage: koa-session-bridge <command>/);
      for (const command of commands) expect(stdout).toMatch(new RegExp(`^  ${command} `, "m"));
    }
  });

  test("each command has a help of its own with options, examples and exit codes", async () => {
    const helps = await Promise.all(
      commands.flatMap((command) => [cli([command, "--help"]), cli(["help", command])]),
    );
    for (const [index, { code, stdout, stderr }] of helps.entries()) {
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      const usage = `^Usage: koa-session-bridge ${commands[index >> 1]}\\b[^]*\nOptions:`;
      expect(stdout).toMatch(new RegExp(`${usage}[^]*\nExamples:[^]*\nExit codes: 0 `));
      for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(110);
    }
  });

  test("--version tells the package's version", async () => {
    const { version } = JSON.parse(await readFile("package.json", "utf8")) as { version: string };
    expect(await cli(["--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
  });

  const wrong: Record<string, [args: string[], message: RegExp]> = {
    "no command": [[], /^Usage: /],
    "an unknown command": [["migrat"], /^Unknown command "migrat"\.\n\nUsage: /],
    "an unknown option": [
      ["migrate", "--databse", "x"],
      /^Unknown option '--databse'\. Did you mean --database\?\n\nUsage: /,
    ],
    "an option like none": [["migrate", "--verbose"], /^Unknown option '--verbose'\.\n\nUsage: /],
    "an option without its value": [
      ["migrate", "--database"],
      /^Option '--database <value>' argument missing\.\n\nUsage: /,
    ],
    "an option in place of a value": [
      ["migrate", "--database", "--json"],
      /^Option '--database' argument missing\.\n\nUsage: /,
    ],
    "a stray argument": [["keygen", "HS256"], /Unexpected argument 'HS256'[\s\S]*Usage: /],
    "no database": [["migrate"], /^No database: give --database or set DATABASE_URL\.\n\nUsage: /],
    "an unknown algorithm": [["keygen", "--alg", "RS256"], /^Unknown algorithm "RS256"/],
    "an inherited name as the algorithm": [["keygen", "--alg", "toString"], /^Unknown algorithm/],
  };
  for (const [what, [args, message]] of Object.entries(wrong)) {
    test(`${what} is exit code 2, and said on stderr`, async () => {
      const { code, stdout, stderr } = await cli(args);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toMatch(message);
    });
  }
});

describe("keygen", () => {
  for (const alg of ["HS256", "ES256", "EdDSA"] as const) {
    test(`prints a key of ${alg} that signs, a new one each time`, async () => {
      const runs = await Promise.all([1, 2].map(() => cli(["keygen", "--alg", alg])));
      const keys = runs.map(({ stdout }) => JSON.parse(stdout) as SigningKey);
      expect(new Set(keys.map(({ key }) => JSON.stringify(key))).size).toBe(2);
      expect(new Set(keys.map(({ kid }) => kid)).size).toBe(2);
      for (const key of keys) {
        expect(key.alg).toBe(alg);
        const pool = new pg.Pool();
        expect(() => createSessionStore({ pool, signingKeys: [key] })).not.toThrow();
      }
    });
  }

  test("takes HS256 and a dated key id where nothing is said, or the given id", async () => {
    const [preset, named] = await Promise.all([cli(["keygen"]), cli(["keygen", "--kid", "mine"])]);
    expect(JSON.parse(preset.stdout)).toMatchObject({
      alg: "HS256",
      kid: expect.stringMatching(/^\d{4}-\d\d-\d\d-[0-9a-f]{8}$/) as string,
    });
    expect(JSON.parse(named.stdout)).toMatchObject({ kid: "mine" });
    expect(preset.stdout.trim().split("\n")).toHaveLength(1);
  });
});

describe("migrate", () => {
  const name = `bridge_cli_${crypto.randomUUID().replaceAll("-", "")}`;
  let url: string;
  beforeAll(async () => {
    const postgres = inject("postgres");
    await withAdmin(postgres.adminUrl, (admin) => admin.query(`create database ${name}`));
    url = databaseUrl(postgres.url, name);
  });
  afterAll(() =>
    withAdmin(inject("postgres").adminUrl, (admin) =>
      admin.query(`drop database ${name} with (force)`),
    ),
  );

  test("applies what is missing, says so, and is up to date the next time", async () => {
    const first = await cli(["migrate"], { DATABASE_URL: url });
    expect(first).toMatchObject({ code: 0, stderr: "" });
    expect(first.stdout).toMatch(/^Applied 0001-session-store\nApplied 0002-/);
    const second = await cli(["migrate", "--database", url]);
    expect(second).toEqual({ code: 0, stdout: "Up to date.\n", stderr: "" });
    const json = await cli(["migrate", "--json"], { DATABASE_URL: url });
    expect(JSON.parse(json.stdout)).toEqual({ applied: [] });
  });

  test("is exit code 1 where there is no server, with the reason and without the password", async () => {
    const nowhere = "postgres://app:the-password@127.0.0.1:1/app";
    const { code, stdout, stderr } = await cli(["migrate", "--database", nowhere]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/^Migration failed, nothing was changed: .*ECONNREFUSED/);
    expect(stderr).not.toContain("the-password");
  });
});

test("a role that PostgreSQL does not know is told as that", async () => {
  const url = new URL(inject("postgres").url);
  url.username = "nobody_of_that_name";
  const { code, stderr } = await cli(["status"], { DATABASE_URL: url.href });
  expect(code).toBe(1);
  expect(stderr).toMatch(/^PostgreSQL refuses this role \(.*nobody_of_that_name/);
});

test("the program starts by itself", async () => {
  expect(await readFile(cliFile, "utf8")).toMatch(/^#!\/usr\/bin\/env node\n/);
});

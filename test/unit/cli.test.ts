import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { createSessionStore, type SigningKey } from "../../src/tokens/index.js";
import { databaseUrl, withAdmin } from "../support/template-database.js";

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function cli(args: string[], env: Record<string, string> = {}): Promise<Run> {
  return new Promise((resolve, reject) => {
    const { DATABASE_URL: _, ...own } = process.env;
    const child = spawn(process.execPath, ["--import", "tsx", main, ...args], {
      env: { ...own, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const output = { stdout: "", stderr: "" };
    child.stdout.on("data", (text: Buffer) => (output.stdout += text.toString()));
    child.stderr.on("data", (text: Buffer) => (output.stderr += text.toString()));
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, ...output }));
  });
}

describe("help and wrong usage", () => {
  test("--help, -h and help print the commands, exit code 0", async () => {
    for (const argument of ["--help", "-h", "help"]) {
      const { code, stdout, stderr } = await cli([argument]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toMatch(/^Usage: koa-session-bridge <command>[\s\S]*migrate[\s\S]*keygen/);
    }
  });

  test("each command has a help of its own with examples", async () => {
    for (const command of ["migrate", "keygen"]) {
      const { code, stdout } = await cli([command, "--help"]);
      expect(code).toBe(0);
      expect(stdout).toMatch(new RegExp(`^Usage: koa-session-bridge ${command}[\\s\\S]*Examples:`));
    }
  });

  const wrong: Record<string, [args: string[], message: RegExp]> = {
    "no command": [[], /^Usage: /],
    "an unknown command": [["migrat"], /^Unknown command "migrat"\.\n\nUsage: /],
    "an unknown option": [
      ["migrate", "--databse", "x"],
      /Unknown option '--databse'[\s\S]*Usage: /,
    ],
    "an option without its value": [["migrate", "--database"], /argument missing[\s\S]*Usage: /],
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

test("the program starts by itself", async () => {
  expect(await readFile(main, "utf8")).toMatch(/^#!\/usr\/bin\/env node\n/);
});

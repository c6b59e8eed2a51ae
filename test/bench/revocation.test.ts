import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const script = fileURLToPath(new URL("../../bench/revocation.ts", import.meta.url));
const revocation = (...args: string[]) =>
  spawnSync(process.execPath, ["--import", "tsx", script, ...args], { encoding: "utf8" });

test("the help is told, and nothing is measured", () => {
  const { status, stdout, stderr } = revocation("--help");
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toContain("Usage: npm run bench:revocation");
});

test("wrong numbers are wrong usage", () => {
  const { status, stdout, stderr } = revocation("--rounds", "0");
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(stderr).toContain("--rounds");
});

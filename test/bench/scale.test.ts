import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const script = fileURLToPath(new URL("../../bench/scale.ts", import.meta.url));
const scale = (...args: string[]) =>
  spawnSync(process.execPath, ["--import", "tsx", script, ...args], { encoding: "utf8" });

test("wrong numbers are wrong usage", () => {
  for (const args of [
    ["--sessions", "100k,lots"],
    ["--rounds", "0"],
    ["--rows", "7"],
  ]) {
    const { status, stderr, stdout } = scale(...args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toContain(args[0]);
    expect(stderr).toContain("Usage: npm run bench:scale");
  }
});

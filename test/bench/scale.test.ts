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

test("a small size is read, explained and cleaned up", () => {
  const { status, stdout, stderr } = scale(
    ...["--sessions", "20k", "--seconds", "1", "--rounds", "1", "--connections", "8", "--json"],
  );
  expect(status, stderr).toBe(0);
  const reports = JSON.parse(stdout) as Record<string, unknown>[];
  expect(reports).toMatchObject([{ sessions: 20_000, ratio: 1, wholeTables: [] }]);
  for (const report of reports) {
    for (const name of [
      "requestsPerSecond",
      "p99Ms",
      "heapBytes",
      "indexBytes",
      "cleanedPerSecond",
    ]) {
      expect(report[name]).toBeGreaterThan(0);
    }
    expect(report["p99MsDuringCleanUp"]).toBeGreaterThan(0);
  }
}, 180_000);

import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

// The whole of it in small, on the variants that need nothing of bench/peers.
const root = fileURLToPath(new URL("../..", import.meta.url));
const execute = promisify(execFile);
const timeout = 240_000;

const bench = (...args: string[]) => run("main", ...args);

async function run(script: string, ...args: string[]) {
  const all = ["--import", "tsx", `bench/${script}.ts`, ...args];
  try {
    const { stdout, stderr } = await execute(process.execPath, all, { cwd: root });
    return { code: 0, stdout, stderr };
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string };
  }
}

const small = ["--sessions", "200", "--seconds", "1", "--rounds", "1", "--connections", "3"];
const ids = ["bare", "stateless", "select", "strict", "bridge", "cookie", "koa-session"];

test(
  "a run in small",
  async () => {
    const before = await builds();
    const { code, stdout, stderr } = await bench(...small, "--only", ids.join(","), "--json");
    expect(stderr).toContain("tokenSession: right answers; a revoked session: refused at once.");
    expect(code).toBe(0);
    const { scenarios, revocation } = JSON.parse(stdout);
    expect(revocation).toMatchObject({ bare: "cannot revoke", strict: "refused at once" });
    expect(scenarios.map(({ id }: { id: string }) => id)).toEqual(["read", "count"]);
    const [read, count] = scenarios;
    expect(idsIn(read)).toEqual(ids);
    expect(idsIn(count)).toEqual(["strict", "bridge", "koa-session"]);
    for (const { rounds } of [...read.results, ...count.results]) {
      expect(rounds).toHaveLength(1);
      expect(rounds[0].requestsPerSecond).toBeGreaterThan(0);
      expect(rounds[0].cpuSecondsPer10k).toBeGreaterThan(0);
    }
    // A budget of one statement a read, for those that share none; the bench's own are beside them.
    expect(read.results[2].rounds[0].statementsPerRequest).toBeGreaterThanOrEqual(1);
    expect(await builds()).toEqual(before);
  },
  timeout,
);

const builds = async () => (await readdir(root)).filter((name) => name.startsWith(".bench-"));

const idsIn = ({ results }: { results: { variant: { id: string } }[] }) =>
  results.map(({ variant }) => variant.id);

test.each([
  [["--rounds", "none"], "--rounds must be a whole number"],
  [["--only", "nonsense"], '--only knows no "nonsense"'],
  [["--sessions", "100"], "--sessions must be at least"],
  [["--write", "--only", "strict"], "--write goes with all variants"],
  [["--unknown"], "Unknown option '--unknown'"],
])("%j is wrong usage", async (args, message) => {
  const { code, stdout, stderr } = await bench(...args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain(message);
  expect(stderr).toContain("Usage: npm run bench");
});

test("--help tells how to use it", async () => {
  const { code, stdout } = await bench("--help");
  expect(code).toBe(0);
  expect(stdout).toContain("Examples:");
});

// Here, so that it comes after the one above: both install the same peers, and each looks for what is left.
test(
  "a small size is read, explained and cleaned up",
  async () => {
    const size = ["--sessions", "20k", "--connections", "8"];
    const args = [...size, "--seconds", "1", "--rounds", "1", "--json"];
    const { code, stdout, stderr } = await run("scale", ...args);
    expect(code, stderr).toBe(0);
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
  },
  timeout,
);

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

async function demo(...args: string[]) {
  const child = spawn(process.execPath, ["--import", "tsx", "demo/main.ts", ...args], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(child, "close");
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  await ended;
  return { code: child.exitCode, stdout, stderr };
}

test("a port that is in use is told in one sentence", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  try {
    expect(await demo("--serve", "--port", String(port))).toEqual({
      code: 1,
      stdout: "",
      stderr: `Port ${port} is in use: give another --port, or none.\n`,
    });
  } finally {
    other.close();
  }
});

test("--port without --serve is wrong usage", async () => {
  const { code, stderr } = await demo("--port", "8080");
  expect(code).toBe(2);
  expect(stderr).toMatch(/^--port goes with --serve\n\nUsage: /);
});

import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";

const interrupt = new URL("../../src/cli/interrupt.ts", import.meta.url).href;
const program = `
  const { interruptible } = await import(${JSON.stringify(interrupt)});
  const alive = setInterval(() => undefined, 1000);
  await interruptible(async (signal) => {
    signal.addEventListener("abort", () => process.stdout.write("stopping\\n"));
    process.stdout.write("ready\\n");
    await new Promise((resolve) => process.stdin.once("data", resolve));
  });
  clearInterval(alive);
  process.stdin.destroy();
  process.stdout.write("in order\\n");`;

async function start() {
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", program]);
  let output = "";
  child.stdout.on("data", (text: Buffer) => (output += text.toString()));
  await expect.poll(() => output, { timeout: 30_000 }).toContain("ready");
  return { child, output: () => output, ended: once(child, "close") };
}

test("a signal that comes twice at once stops in order, as from a terminal through npx", async () => {
  const { child, output, ended } = await start();
  child.kill("SIGINT");
  child.kill("SIGINT");
  await expect.poll(output).toContain("stopping");
  child.kill("SIGINT");
  child.stdin.end("go on\n");
  expect((await ended)[0]).toBe(0);
  expect(output()).toContain("in order");
});

test("a second one later ends the process at once", async () => {
  const { child, output, ended } = await start();
  child.kill("SIGINT");
  await expect.poll(output).toContain("stopping");
  const again = setInterval(() => child.kill("SIGINT"), 50);
  expect((await ended)[0]).toBe(130);
  clearInterval(again);
  expect(output()).not.toContain("in order");
});

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { applicationOf } from "./apps.js";
import type { Answer, Question, World } from "./serve.js";

// The process of one variant; serve.ts starts it.
const variant = process.argv[2] ?? "";
const world = JSON.parse(process.env["BENCH_WORLD"] ?? "{}") as World;

let port = 0;
function tell(problem?: string): void {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  const cpuSeconds = (user + system) / 1e6;
  const usage = { cpuSeconds, residentBytes: rss, heapBytes: heapUsed };
  process.send?.({ port, usage, ...(problem !== undefined && { problem }) } satisfies Answer);
}

process.on("disconnect", () => process.exit(0));
process.on("message", (question: Question) => {
  if (question === "usage after collection") globalThis.gc?.();
  tell();
});

try {
  const server = createServer(await applicationOf(variant, world)).listen(0, "127.0.0.1");
  await once(server, "listening");
  ({ port } = server.address() as AddressInfo);
  tell();
} catch (error) {
  tell((error as Error).message);
}

import { readFile } from "node:fs/promises";
import type { Load, LoadResult } from "./load.js";

// The process that loads a server by autocannon; load.ts starts it.
interface Client {
  setRequests(requests: object[]): void;
}

interface Autocannon {
  readonly autocannon: (options: object) => Promise<{
    requests: { total: number };
    duration: number;
    latency: { p50: number; p99: number };
    non2xx: number;
    errors: number;
  }>;
}

const { port, requests, connections, seconds } = JSON.parse(process.argv[2]!) as Load;
const { autocannon } = (await import(
  new URL("peers/autocannon.js", import.meta.url).href
)) as Autocannon;

const all = (await readFile(requests, "utf8"))
  .trimEnd()
  .split("\n")
  .map((line) => {
    const [, method, path, name, value] = /^(\S+) (\S+) ([^:]+): (.*)$/.exec(line)!;
    return { method, path, headers: { [name!]: value } };
  });

let clients = 0;
const result = await autocannon({
  url: `http://127.0.0.1:${port}`,
  connections,
  duration: seconds,
  setupClient(client: Client) {
    const own = clients;
    clients += 1;
    // Each connection has requests of its own, whether they are to be or not: all for each takes memory.
    client.setRequests(all.filter((_, index) => index % connections === own % all.length));
  },
});
process.send?.({
  requests: result.requests.total,
  seconds: result.duration,
  p50Ms: result.latency.p50,
  p99Ms: result.latency.p99,
  refused: result.non2xx,
  broken: result.errors,
} satisfies LoadResult);
process.disconnect();

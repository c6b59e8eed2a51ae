import { existsSync } from "node:fs";
import { request, type RequestOptions } from "node:http";
import { homedir } from "node:os";
import { join } from "node:path";

const PING_DEADLINE_MS = 1_000;

/**
 * Whether a Docker engine answers at once. Testcontainers itself waits over 25 s for a socket that
 * accepts connections and never answers.
 */
export async function dockerEngineAnswers(): Promise<boolean> {
  const answers = await Promise.all(engineAddresses().map(ping));
  return answers.includes(true);
}

function engineAddresses(): RequestOptions[] {
  const host = process.env.DOCKER_HOST;
  if (host?.startsWith("unix://")) return [{ socketPath: host.slice("unix://".length) }];
  if (host?.startsWith("tcp://")) {
    const { hostname, port } = new URL(host.replace("tcp:", "http:"));
    return [{ hostname, port: port || "2375" }];
  }
  const runtime = process.env.XDG_RUNTIME_DIR;
  return [
    "/var/run/docker.sock",
    join(homedir(), ".docker/run/docker.sock"),
    ...(runtime ? [join(runtime, "docker.sock")] : []),
  ]
    .filter((path) => existsSync(path))
    .map((socketPath) => ({ socketPath }));
}

function ping(address: RequestOptions): Promise<boolean> {
  return new Promise((resolve) => {
    const asking = request({ ...address, path: "/_ping" }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    asking.once("error", () => resolve(false));
    // A deadline for the whole answer; the socket's own timeout starts again with every byte.
    setTimeout(() => {
      resolve(false);
      asking.destroy();
    }, PING_DEADLINE_MS).unref();
    asking.end();
  });
}

import { copyFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ended, spawnUnprivileged, tailOfLog } from "./child-process.js";
import { dieWithParent } from "./die-with-parent.js";
import { findServer } from "./find-server.js";
import { freePort } from "./free-port.js";
import { giveToUnprivileged, unprivilegedTemporaryFolder } from "./unprivileged.js";

/** A Prometheus of our own on 127.0.0.1, scraping every second. It ends with this process. */
export interface PrometheusServer {
  /** The data of an answer of its HTTP API. Throws what the API has to say when it is no success. */
  api(path: string, parameters?: Readonly<Record<string, string>>): Promise<any>;
  /** Stops it and removes its temporary folder. */
  close(): Promise<void>;
}

const START_DEADLINE_MS = 20_000;

/** @param target what it scrapes as the job `shop`, such as `127.0.0.1:3000` */
export async function startPrometheus(target: string, ruleFile: string): Promise<PrometheusServer> {
  const binary = findServer("prometheus", "Prometheus");
  const folder = await unprivilegedTemporaryFolder("session-bridge-prometheus-");
  const config = {
    global: { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" },
    rule_files: ["rules.yml"],
    scrape_configs: [{ job_name: "shop", static_configs: [{ targets: [target] }] }],
  };
  await copyFile(ruleFile, join(folder, "rules.yml"));
  // JSON is YAML.
  await writeFile(join(folder, "prometheus.yml"), JSON.stringify(config));
  await giveToUnprivileged(folder);
  const port = await freePort();
  const logFile = join(folder, "prometheus.log");
  const child = spawnUnprivileged(
    binary,
    [
      `--config.file=${join(folder, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    folder,
    logFile,
  );
  let running = true;
  void ended(child).then(() => (running = false));
  const releaseWatchdog = dieWithParent(child.pid!, folder);
  const url = `http://127.0.0.1:${port}`;

  async function close(): Promise<void> {
    releaseWatchdog();
    child.kill("SIGKILL");
    await ended(child);
    await rm(folder, { recursive: true, force: true });
  }

  const deadline = Date.now() + START_DEADLINE_MS;
  while (
    !(await fetch(`${url}/-/ready`)
      .then((answer) => answer.ok)
      .catch(() => false))
  ) {
    if (!running || Date.now() > deadline) {
      const log = await tailOfLog(logFile);
      await close();
      throw new Error(`Prometheus did not start:\n${log}`);
    }
    await sleep(50);
  }

  return {
    close,
    async api(path, parameters = {}) {
      const answer = await fetch(
        `${url}/api/v1/${path}?${new URLSearchParams(parameters).toString()}`,
      );
      const body = (await answer.json()) as { status: string; data: unknown; error?: string };
      if (body.status !== "success") {
        throw new Error(`${path} ${JSON.stringify(parameters)}: ${body.error}`);
      }
      return body.data;
    },
  };
}

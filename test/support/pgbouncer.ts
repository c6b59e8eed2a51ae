import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:net";
import { ended, spawnUnprivileged, tailOfLog } from "./child-process.js";
import { dieWithParent } from "./die-with-parent.js";
import { findServer } from "./find-server.js";
import { freePort } from "./free-port.js";
import { giveToUnprivileged, unprivilegedTemporaryFolder } from "./unprivileged.js";

/** A PgBouncer of our own on 127.0.0.1. It ends with this process, however that ends. */
export interface PgBouncer {
  /** The URL it was started with, by way of PgBouncer. Any database of the server can stand in it. */
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

const START_DEADLINE_MS = 10_000;

export interface PgBouncerOptions {
  /**
   * How long a client waits for a connection to PostgreSQL, also while that is down. Default: 15,
   * which no queue of a busy test reaches; a test that takes the server away wants less.
   */
  readonly queryWaitTimeoutInSeconds?: number;
}

/** Starts PgBouncer in transaction mode in front of a PostgreSQL. */
export async function startPgBouncer(
  postgresUrl: string,
  { queryWaitTimeoutInSeconds = 15 }: PgBouncerOptions = {},
): Promise<PgBouncer> {
  const binary = findServer("pgbouncer", "PgBouncer");
  const port = await freePort();
  const folder = await unprivilegedTemporaryFolder("session-bridge-pgbouncer-");
  const configFile = join(folder, "pgbouncer.ini");
  const logFile = join(folder, "pgbouncer.log");
  await writeFile(
    configFile,
    configuration(new URL(postgresUrl), port, queryWaitTimeoutInSeconds),
    { mode: 0o600 },
  );
  await giveToUnprivileged(folder);

  const child = spawnUnprivileged(binary, [configFile], folder, logFile);
  let running = true;
  void ended(child).then(() => (running = false));
  const deadline = Date.now() + START_DEADLINE_MS;
  while (!(await accepts(port))) {
    if (!running || Date.now() > deadline) {
      child.kill("SIGKILL");
      const log = await tailOfLog(logFile);
      await rm(folder, { recursive: true, force: true });
      throw new Error(`PgBouncer did not start:\n${log}`);
    }
    await sleep(20);
  }
  const releaseWatchdog = dieWithParent(child.pid!, folder);

  const url = new URL(postgresUrl);
  url.hostname = "127.0.0.1";
  url.port = String(port);
  return {
    url: url.href,
    port,
    close: async () => {
      releaseWatchdog();
      // SIGTERM is an immediate shutdown; SIGINT would wait for clients.
      child.kill("SIGTERM");
      await ended(child);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function configuration(postgres: URL, port: number, queryWaitTimeoutInSeconds: number): string {
  const server = [
    `host=${postgres.hostname}`,
    `port=${postgres.port || "5432"}`,
    `user=${quoted(decodeURIComponent(postgres.username))}`,
    `password=${quoted(decodeURIComponent(postgres.password))}`,
  ];
  return [
    "[databases]",
    `* = ${server.join(" ")}`,
    "[pgbouncer]",
    "listen_addr = 127.0.0.1",
    `listen_port = ${port}`,
    "unix_socket_dir =",
    "auth_type = any",
    "pool_mode = transaction",
    // Fewer server connections than a test's pool has clients: transactions really change connections.
    "default_pool_size = 4",
    "max_client_conn = 1000",
    "max_db_connections = 0",
    // Every test brings a database of its own: do not keep the connections of those that are gone.
    "server_idle_timeout = 5",
    // Default: 15 s without a try after PostgreSQL was gone.
    "server_login_retry = 0.5",
    "server_connect_timeout = 2",
    `query_wait_timeout = ${queryWaitTimeoutInSeconds}`,
    "",
  ].join("\n");
}

function quoted(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("close", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

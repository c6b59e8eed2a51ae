import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { ended, spawnUnprivileged, tailOfLog } from "./child-process.js";
import { dieWithParent } from "./die-with-parent.js";
import { freePort } from "./free-port.js";
import { copyPostgresBinaries } from "./postgres-binaries.js";
import { giveToUnprivileged, unprivilegedTemporaryFolder } from "./unprivileged.js";

export interface EmbeddedPostgresOptions {
  /** Default: a free one. */
  readonly port?: number;
  /**
   * Default: a new one in the server's temporary folder. An existing cluster (a file PG_VERSION is in
   * it) is started as it is; `close()` leaves a folder that was given alone.
   */
  readonly dataDirectory?: string;
  /** Further server settings, such as `{ wal_level: "replica" }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Of the superuser `postgres`. Default: a random one. Needed with the data of another server. */
  readonly password?: string;
}

/** A PostgreSQL of our own on 127.0.0.1. It ends with this process, however that ends. */
export interface PostgresServer {
  /** The superuser's connection string to the database `postgres`. */
  readonly url: string;
  readonly port: number;
  readonly dataDirectory: string;
  /** Starts it again after `stop()` or `kill()`: same port, same data. */
  start(): Promise<void>;
  /** Fast shutdown: ends every connection (57P01), keeps the data. */
  stop(): Promise<void>;
  /** SIGKILL of the postmaster: what a crash looks like to clients. Committed data stays. */
  kill(): Promise<void>;
  /** Stops it and removes its temporary folder. */
  close(): Promise<void>;
}

const START_DEADLINE_MS = 30_000;

/**
 * Starts the PostgreSQL that comes from npm; ready in about a second, and several run side by side.
 * Works as root and as an ordinary user, without any PostgreSQL or Docker on the machine.
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions = {},
): Promise<PostgresServer> {
  const folder = await unprivilegedTemporaryFolder("session-bridge-postgres-");
  try {
    const server = new EmbeddedPostgres(
      folder,
      options.port ?? (await freePort()),
      options.dataDirectory ?? join(folder, "data"),
      options.password ?? randomBytes(16).toString("hex"),
      options.settings ?? {},
    );
    await server.prepare();
    await server.start();
    return server;
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

class EmbeddedPostgres implements PostgresServer {
  readonly url: string;
  readonly #logFile: string;
  #process: ChildProcess | undefined;
  #releaseWatchdog: () => void = () => undefined;

  constructor(
    private readonly folder: string,
    readonly port: number,
    readonly dataDirectory: string,
    private readonly password: string,
    private readonly settings: Readonly<Record<string, string>>,
  ) {
    this.url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
    this.#logFile = join(folder, "postgres.log");
  }

  /** Copies the binaries and creates the cluster where there is none. */
  async prepare(): Promise<void> {
    await copyPostgresBinaries(join(this.folder, "native"));
    const passwordFile = join(this.folder, "password");
    await writeFile(passwordFile, this.password, { mode: 0o600 });
    await mkdir(this.dataDirectory, { recursive: true, mode: 0o700 });
    await giveToUnprivileged(this.folder);
    await giveToUnprivileged(this.dataDirectory);
    if (!existsSync(join(this.dataDirectory, "PG_VERSION"))) await this.#initdb(passwordFile);
    await rm(passwordFile);
  }

  async start(): Promise<void> {
    if (this.#process !== undefined) return;
    const deadline = Date.now() + START_DEADLINE_MS;
    for (;;) {
      const process = this.#spawn("postgres", this.#serverArguments());
      if (await this.#becomesReady(process, deadline)) {
        this.#process = process;
        this.#releaseWatchdog = dieWithParent(process.pid!, this.folder);
        return;
      }
      // The backends of a killed postmaster hold its shared memory until they notice its death.
      const log = await tailOfLog(this.#logFile);
      if (Date.now() > deadline || !log.includes("pre-existing shared memory block")) {
        throw new Error(`The embedded PostgreSQL did not start:\n${log}`);
      }
      await writeFile(this.#logFile, "");
      await sleep(50);
    }
  }

  async stop(): Promise<void> {
    await this.#end("SIGINT");
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  async close(): Promise<void> {
    await this.stop();
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const process = this.#process;
    if (process === undefined) return;
    this.#process = undefined;
    this.#releaseWatchdog();
    process.kill(signal);
    await ended(process);
  }

  async #initdb(passwordFile: string): Promise<void> {
    const initdb = this.#spawn("initdb", [
      `--pgdata=${this.dataDirectory}`,
      "--username=postgres",
      // Any user of this machine can reach the port; a plain password costs no time per connection.
      "--auth=password",
      `--pwfile=${passwordFile}`,
      "--encoding=UTF8",
      "--locale=C",
      "--no-sync",
      "--no-instructions",
    ]);
    if ((await ended(initdb)) !== 0) {
      throw new Error(`initdb failed:\n${await tailOfLog(this.#logFile)}`);
    }
  }

  #serverArguments(): string[] {
    const settings: Record<string, string> = {
      listen_addresses: "127.0.0.1",
      port: String(this.port),
      unix_socket_directories: process.platform === "win32" ? "" : this.folder,
      max_connections: "300",
      // Nothing here must outlive a power cut. Commits stay synchronous: without fsync they cost
      // nothing, and what was committed must be there after kill().
      fsync: "off",
      full_page_writes: "off",
      ...this.settings,
    };
    const pairs = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    return ["-D", this.dataDirectory, ...pairs];
  }

  #spawn(program: "initdb" | "postgres", args: readonly string[]): ChildProcess {
    const binary = join(this.folder, "native", "bin", program);
    return spawnUnprivileged(binary, args, this.folder, this.#logFile);
  }

  /** False when the process ended first. */
  async #becomesReady(child: ChildProcess, deadline: number): Promise<boolean> {
    let running = true;
    void ended(child).then(() => (running = false));
    while (running && Date.now() < deadline) {
      // A server of somebody else on this port knows another password.
      if (await answers(this.url)) return true;
      await sleep(20);
    }
    child.kill("SIGKILL");
    return false;
  }
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 1_000 });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.query("select 1");
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

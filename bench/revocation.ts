import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { Agent, request } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import Koa from "koa";
import pg from "pg";
import { startTcpProxy } from "../test/support/tcp-proxy.js";
import { wholeNumber, withArguments } from "./arguments.js";
import { importBuilt } from "./product.js";
import { onStage, type Stage, tell } from "./stage.js";

const help = `Usage: npm run bench:revocation -- [options]

Tells how long a cached session is accepted after it has ended elsewhere, in milliseconds. Two processes cache and
serve, a third one loads them, this one logs out by the one and asks the other. Counted is how long after the
answer to the logout a request was still sent that was accepted: 0 when none was. Then sessions are ended in the
database while the connection that listens is lost, or hangs.

Options:
  --rounds <n>        logouts by the other process; default 300
  --losses <n>        of each kind; default 5
  --connections <n>   of the load; default 64
  --help              show this

Examples:
  npm run bench:revocation
  npm run bench:revocation -- --rounds 20 --losses 1 --connections 8

It takes about seven minutes; Ctrl-C ends it and leaves nothing.

Exit codes: 0 measured, 1 failed, 2 wrong usage, 130 interrupted.
`;

const sessionCount = 2000;
const signingKeys = [
  { kid: "bench", alg: "HS256" as const, key: "a signing key for the bench only, 32+" },
];

/** What a process of its own is started with, in its environment. */
interface Task {
  readonly role: "app" | "load";
  readonly product: string;
  readonly url: string;
  readonly directUrl: string;
  readonly connections: number;
}

interface Options {
  readonly rounds: number;
  readonly losses: number;
  readonly connections: number;
}

const importTokens = (product: string) =>
  importBuilt<typeof import("../src/tokens/index.js")>({ url: product }, "tokens/index.js");

async function serve({ product, url, directUrl }: Task): Promise<void> {
  const { tokenSession } = await importTokens(product);
  const app = new Koa();
  const session = tokenSession({
    pool: new pg.Pool({ connectionString: url, max: 10 }),
    directPool: new pg.Pool({ connectionString: directUrl, max: 1 }),
    signingKeys,
    cache: { maxAgeInSeconds: 3600 },
  });
  app.use(session as never);
  app.use(session.routes());
  app.use((ctx) => {
    const { session } = ctx as unknown as { session: Record<string, number> };
    if (ctx.path === "/count") session["count"] = (session["count"] ?? 0) + 1;
    ctx.status = session["userId"] === undefined ? 401 : 200;
    ctx.body = "ok";
  });
  const server = app.listen(0, "127.0.0.1");
  await once(server, "listening");
  tellParent({ port: (server.address() as AddressInfo).port });
}

/** Keeps all connections busy; one request in a hundred changes its session. */
function load({ connections }: Task): void {
  process.once("message", ({ ports, tokens }: { ports: number[]; tokens: string[] }) => {
    const agent = new Agent({ keepAlive: true, maxSockets: connections });
    let sent = 0;
    const next = async (port: number): Promise<void> => {
      for (;;) {
        sent += 1;
        const token = tokens[sent % tokens.length] ?? "";
        await ask(agent, port, sent % 100 === 0 ? "/count" : "/", token).catch(() => undefined);
      }
    };
    for (let n = 0; n < connections; n += 1) void next(ports[n % ports.length] ?? 0);
    setInterval(() => {
      tellParent({ sent });
    }, 200);
  });
  tellParent({ port: 0 });
}

async function measure(
  { world, pool, signal }: Stage,
  { rounds, losses, connections }: Options,
): Promise<void> {
  const { createSessionStore, migrate } = await importTokens(world.product);
  await migrate(pool, { cache: true });
  const proxy = await startTcpProxy(world.databaseUrl);
  const store = createSessionStore({ pool, signingKeys });
  const create = async (count: number) => {
    const pairs = [];
    for (let n = 0; n < count; n += 1) {
      signal.throwIfAborted();
      pairs.push(await store.create({ userId: "user-1" }));
    }
    return pairs;
  };
  const children: ChildProcess[] = [];
  const start = async (role: Task["role"], directUrl: string) => {
    const { product, databaseUrl: url } = world;
    const task: Task = { role, product, url, directUrl, connections };
    const child = fork(new URL(import.meta.url), {
      execArgv: ["--import", "tsx"],
      env: { ...process.env, REVOCATION_TASK: JSON.stringify(task) },
      // Its own process group: Ctrl-C in the terminal is for us alone.
      detached: true,
    });
    children.push(child);
    const [{ port }] = (await once(child, "message", { signal })) as [{ port: number }];
    return { child, port };
  };
  const agent = new Agent({ keepAlive: true });
  try {
    const apps = [await start("app", world.databaseUrl), await start("app", proxy.url)] as const;
    const loader = await start("load", world.databaseUrl);
    tell(`Making ${sessionCount} sessions.`);
    const pairs = await create(sessionCount);
    const ports = apps.map(({ port }) => port);
    let sent = 0;
    loader.child.on("message", (message: { sent?: number }) => (sent = message.sent ?? sent));
    loader.child.send({ ports, tokens: pairs.map(({ accessToken }) => accessToken) });
    await pause(3000, undefined, { signal });

    const [ender, asked] = apps;
    const ask = (token: string) => request200(agent, asked.port, token);
    const warm = async (token: string) => {
      for (let n = 0; n < 3; n += 1) if (!(await ask(token))) throw new Error("refused too early");
    };
    tell(`${rounds} logouts under load.`);
    const began = { at: performance.now(), sent };
    const delays: number[] = [];
    for (const { accessToken } of await create(rounds)) {
      signal.throwIfAborted();
      await warm(accessToken);
      const probe = startProbes(() => ask(accessToken));
      await askFor(agent, ender.port, "POST", "/session/logout", accessToken);
      delays.push(await probe.acceptedUntil(performance.now()));
    }
    const perSecond = ((sent - began.sent) / (performance.now() - began.at)) * 1000;
    console.log(
      `${Math.round(perSecond)} requests/s on ${connections} connections, 1 % of them write`,
    );
    print("a logout by another process", delays);

    const revoke = (id: string) =>
      pool.query(`update "sessionStore" set "revokedAt" = now() where "id" = $1`, [id]);
    const lose: Record<string, () => Promise<unknown>> = {
      "the listening connections are ended": () =>
        pool.query(`select pg_terminate_backend(pid) from pg_stat_activity
          where query like '%sessionBridgeCache%' and pid <> pg_backend_pid()`),
      "nothing passes on the listening connection": async () => {
        proxy.hang();
      },
    };
    for (const [what, loss] of Object.entries(lose)) {
      tell(`${what}: ${losses} times.`);
      const after: number[] = [];
      for (const { accessToken, sessionId } of await create(losses)) {
        // Until it listens again.
        await pause(8000, undefined, { signal });
        await warm(accessToken);
        const probe = startProbes(() => ask(accessToken));
        await loss();
        await revoke(sessionId);
        after.push(await probe.acceptedUntil(performance.now()));
      }
      print(what, after);
    }
  } finally {
    for (const child of children) child.kill("SIGKILL");
    agent.destroy();
    await proxy.close();
  }
}

/** Four requests at a time, until they have been refused for a second; a stale answer by then is an error. */
function startProbes(ask: () => Promise<boolean>) {
  let lastAccepted = 0;
  let firstRefused = Infinity;
  const probe = async () => {
    while (performance.now() < firstRefused + 1000) {
      const sentAt = performance.now();
      if (!(await ask())) firstRefused = Math.min(firstRefused, performance.now());
      else if (sentAt > firstRefused) throw new Error("accepted after it was refused");
      else lastAccepted = Math.max(lastAccepted, sentAt);
    }
  };
  const probes = Promise.all([probe(), probe(), probe(), probe()]);
  return {
    acceptedUntil: async (since: number) => {
      await probes;
      return Math.max(0, lastAccepted - since);
    },
  };
}

function print(what: string, delays: number[]): void {
  const sorted = [...delays].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
  const [p50, p99, max] = [at(0.5), at(0.99), at(1)].map((ms) => `${ms.toFixed(1)} ms`);
  console.log(`${what}: p50 ${p50}, p99 ${p99}, max ${max} (${sorted.length} times)`);
}

function tellParent(message: object): void {
  process.send?.(message);
}

const ask = (agent: Agent, port: number, path: string, token: string) =>
  askFor(agent, port, "GET", path, token);
const request200 = async (agent: Agent, port: number, token: string) =>
  (await ask(agent, port, "/", token)) === 200;

function askFor(agent: Agent, port: number, method: string, path: string, token: string) {
  return new Promise<number>((resolve, reject) => {
    const headers = { Authorization: `Bearer ${token}` };
    const asking = request({ agent, host: "127.0.0.1", port, path, method, headers }, (answer) => {
      answer.resume().on("end", () => {
        resolve(answer.statusCode ?? 0);
      });
    });
    asking.on("error", reject).end();
  });
}

const task = process.env["REVOCATION_TASK"];
if (task !== undefined) {
  // Ends with the process that started it, however that ends.
  process.on("disconnect", () => process.exit());
  const given = JSON.parse(task) as Task;
  if (given.role === "app") await serve(given);
  else load(given);
} else {
  process.exitCode = await withArguments(
    help,
    {
      rounds: { type: "string", default: "300" },
      losses: { type: "string", default: "5" },
      connections: { type: "string", default: "64" },
    },
    (values) => {
      const options = {
        rounds: wholeNumber("rounds", values.rounds),
        losses: wholeNumber("losses", values.losses),
        connections: wholeNumber("connections", values.connections),
      };
      return onStage(async (stage) => {
        await measure(stage, options);
        return 0;
      });
    },
  );
}

import { fork } from "node:child_process";
import { once } from "node:events";
import { Agent, request } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import Koa from "koa";
import pg from "pg";
import { createSessionStore, migrate, tokenSession } from "../src/tokens/index.js";
import { startEmbeddedPostgres } from "../test/support/postgres-server.js";
import { startTcpProxy } from "../test/support/tcp-proxy.js";

// How long a cached session is accepted after another process has ended it. Two processes cache and serve; a
// third one loads them; this one logs out by the one and asks the other. Counted is how long after the answer to
// the logout a request was still sent that was accepted: 0 when none was.
const rounds = Number(process.env["ROUNDS"] ?? 300);
const losses = Number(process.env["LOSSES"] ?? 5);
const connections = Number(process.env["CONNECTIONS"] ?? 64);
const sessionCount = 2000;
const signingKeys = [
  { kid: "bench", alg: "HS256" as const, key: "a signing key for the bench only, 32+" },
];

type Role = "app" | "load";
const { ROLE, DATABASE_URL, DIRECT_URL } = process.env as Record<string, string>;

async function serve(): Promise<void> {
  const app = new Koa();
  const session = tokenSession({
    pool: new pg.Pool({ connectionString: DATABASE_URL, max: 10 }),
    directPool: new pg.Pool({ connectionString: DIRECT_URL, max: 1 }),
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
function load(): void {
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

async function measure(): Promise<void> {
  const server = await startEmbeddedPostgres({ settings: { fsync: "on" } });
  const proxy = await startTcpProxy(server.url);
  const pool = new pg.Pool({ connectionString: server.url, max: 10 });
  pool.on("error", () => undefined);
  await migrate(pool, { cache: true });
  const store = createSessionStore({ pool, signingKeys });
  const create = async (count: number) => {
    const pairs = [];
    for (let n = 0; n < count; n += 1) pairs.push(await store.create({ userId: "user-1" }));
    return pairs;
  };
  const start = async (role: Role, directUrl: string) => {
    const child = fork(new URL(import.meta.url), {
      execArgv: ["--import", "tsx"],
      env: { ...process.env, ROLE: role, DATABASE_URL: server.url, DIRECT_URL: directUrl },
    });
    const [{ port }] = (await once(child, "message")) as [{ port: number }];
    return { child, port };
  };
  const apps = [await start("app", server.url), await start("app", proxy.url)] as const;
  const loader = await start("load", server.url);
  const agent = new Agent({ keepAlive: true });
  try {
    const pairs = await create(sessionCount);
    const ports = apps.map(({ port }) => port);
    let sent = 0;
    loader.child.on("message", (message: { sent?: number }) => (sent = message.sent ?? sent));
    loader.child.send({ ports, tokens: pairs.map(({ accessToken }) => accessToken) });
    await pause(3000);

    const [ender, asked] = apps;
    const ask = (token: string) => request200(agent, asked.port, token);
    const warm = async (token: string) => {
      for (let n = 0; n < 3; n += 1) if (!(await ask(token))) throw new Error("refused too early");
    };
    const began = { at: performance.now(), sent };
    const delays: number[] = [];
    for (const { accessToken } of await create(rounds)) {
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
      const after: number[] = [];
      for (const { accessToken, sessionId } of await create(losses)) {
        // Until it listens again.
        await pause(8000);
        await warm(accessToken);
        const probe = startProbes(() => ask(accessToken));
        await loss();
        await revoke(sessionId);
        after.push(await probe.acceptedUntil(performance.now()));
      }
      print(what, after);
    }
  } finally {
    for (const { child } of [...apps, loader]) child.kill("SIGKILL");
    agent.destroy();
    await pool.end();
    await proxy.close();
    await server.close();
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

if (ROLE === "app") await serve();
else if (ROLE === "load") load();
else await measure();

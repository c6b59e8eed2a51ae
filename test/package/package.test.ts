import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ended } from "../support/child-process.js";
import { Browser } from "../support/client.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { freePort } from "../support/free-port.js";

// The package as it would be published, installed into an empty project of each kind, where the first
// example of the README is the only file.
const root = fileURLToPath(new URL("../..", import.meta.url));
const timeout = 240_000;
let folder: string;
let tarball: string;
let example: string;
let database: TestDatabase;

const execute = promisify(execFile);
const npm = process.platform === "win32" ? "npm.cmd" : "npm";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "session-bridge-package-"));
  await execute(npm, ["pack", "--pack-destination", folder], { cwd: root });
  tarball = join(
    folder,
    (await readdir(folder)).find((name) => name.endsWith(".tgz"))!,
  );
  const readme = await readFile(join(root, "README.md"), "utf8");
  example = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";
  database = await testDatabase();
}, timeout);
afterAll(async () => {
  await database.drop();
  await rm(folder, { recursive: true, force: true });
});

/** Our own versions, so that a run without a network finds them in npm's cache. */
function installed(name: string): string {
  const { version } = createRequire(import.meta.url)(
    `${root}/node_modules/${name}/package.json`,
  ) as {
    version: string;
  };
  return `${name}@${version}`;
}

const packages = [
  "koa",
  "koa-session",
  "pg",
  "typescript",
  "@types/koa",
  "@types/node",
  "@types/pg",
];
const options = ["--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts"];
const kinds = {
  "an empty TypeScript project": { name: "module", type: "module" },
  "an empty CommonJS project": { name: "commonjs", type: "commonjs" },
};

describe.each(Object.entries(kinds))("%s", (_, { name, type }) => {
  let project: string;

  beforeAll(async () => {
    project = join(folder, name);
    await mkdir(project);
    await writeFile(join(project, "package.json"), JSON.stringify({ private: true, type }));
    await execute(npm, ["install", ...options, tarball, ...packages.map(installed)], {
      cwd: project,
    });
    await writeFile(join(project, "app.ts"), example);
    const compilerOptions = {
      target: "es2023",
      module: "nodenext",
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      noPropertyAccessFromIndexSignature: true,
      skipLibCheck: false,
      types: ["node"],
    };
    await writeFile(
      join(project, "tsconfig.json"),
      JSON.stringify({ compilerOptions, files: ["app.ts"] }),
    );
  }, timeout);

  test("compiles the README's first example", { timeout }, async () => {
    expect(example).toContain("sessionBridge(");
    expect(await diagnostics(project)).toBe("");
  });

  test("runs it, with a key from its own command", { timeout }, async () => {
    const bin = join(project, "node_modules/.bin/koa-session-bridge");
    const { stdout: key } = await execute(bin, ["keygen"]);
    const port = await freePort();
    const output: string[] = [];
    const app = spawn(process.execPath, ["app.js"], {
      cwd: project,
      env: {
        ...process.env,
        DATABASE_URL: database.url,
        SESSION_SIGNING_KEYS: `[${key}]`,
        PORT: String(port),
      },
    });
    for (const stream of [app.stdout, app.stderr]) {
      stream.on("data", (text: Buffer) => output.push(text.toString()));
    }
    try {
      const browser = new Browser(`http://127.0.0.1:${port}`);
      await answering(browser, app, output);
      const login = await browser.get("/login?user=grace");
      expect(login.body).toMatchObject({ user: "grace" });
      expect(browser.cookies.size).toBe(2);
      const headers = { authorization: `Bearer ${String(login.headers["session-access-token"])}` };
      const known = await new Browser(browser.baseUrl).get("/", { headers });
      expect(known.body).toMatchObject({ user: "grace" });
    } finally {
      app.kill();
      await ended(app);
    }
  });

  test("can require it, and import it", { timeout }, async () => {
    const names = ["koa-session-bridge", "koa-session-bridge/tokens"];
    for (const each of names) {
      const load = `Promise.all([require("${each}"), import("${each}")]).then(([a, b]) => {
        if (a.BridgeError === undefined || a.BridgeError !== b.BridgeError) throw new Error("not the same");
      })`;
      const program = join(project, "load.cjs");
      await writeFile(program, load);
      const { stderr } = await execute(process.execPath, ["--no-warnings", program]);
      expect(stderr).toBe("");
    }
  });

  test(
    "has its exporters beside their packages, which it can do without",
    { timeout },
    async () => {
      // In this order: prom-client brings the other's package.
      const exporters = [
        { subpath: "opentelemetry", peer: "@opentelemetry/api", name: "openTelemetryMetrics" },
        { subpath: "prometheus", peer: "prom-client", name: "prometheusMetrics" },
      ];
      for (const { subpath, peer, name } of exporters) {
        const load = `import("koa-session-bridge/${subpath}").then(
        (all) => console.log(Object.keys(all).join()),
        ({ code, message }) => console.log(code, /'.*?'/.exec(message)[0]),
      )`;
        const run = () => execute(process.execPath, ["--eval", load], { cwd: project });
        expect((await run()).stdout).toBe(`ERR_MODULE_NOT_FOUND '${peer}'\n`);
        await execute(npm, ["install", ...options, installed(peer)], { cwd: project });
        expect((await run()).stdout).toBe(`${name}\n`);
      }
      const program = `${example}
      import { openTelemetryMetrics } from "koa-session-bridge/opentelemetry";
      import { prometheusMetrics } from "koa-session-bridge/prometheus";
      openTelemetryMetrics(bridge);
      prometheusMetrics(bridge, { labels: ["client"] });`;
      await writeFile(join(project, "app.ts"), program);
      expect(await diagnostics(project)).toBe("");
    },
  );

  test("brings the dashboard and the alerts", async () => {
    const files = await readdir(join(project, "node_modules/koa-session-bridge/monitoring"));
    expect(files.sort()).toEqual(["alerts.yml", "grafana-dashboard.json"]);
  });

  test("needs no koa-session for koa-session-bridge/tokens", { timeout }, async () => {
    await rm(join(project, "node_modules/koa-session"), { recursive: true });
    const program = join(project, "tokens.mjs");
    await writeFile(
      program,
      `import Koa from "koa";
      import pg from "pg";
      import { tokenSession } from "koa-session-bridge/tokens";
      const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
      const signingKeys = [{ kid: "a", alg: "HS256", key: "a".repeat(32) }];
      const app = new Koa().use(tokenSession({ pool, signingKeys })).use((ctx) => {
        ctx.session.visits = (ctx.session.visits ?? 0) + 1;
        ctx.body = ctx.session;
      });
      const server = app.listen(0, "127.0.0.1", async () => {
        const url = "http://127.0.0.1:" + server.address().port;
        const first = await fetch(url, { headers: { "sec-fetch-mode": "cors" } });
        const authorization = "Bearer " + first.headers.get("session-access-token");
        const second = await fetch(url, { headers: { authorization } });
        console.log(await second.text());
        server.close();
        server.closeAllConnections();
        await pool.end();
      });`,
    );
    const env = { ...process.env, DATABASE_URL: database.url };
    const { stdout } = await execute(process.execPath, [program], { cwd: project, env });
    expect(stdout).toBe('{"visits":2}\n');
  });
});

async function diagnostics(project: string): Promise<string> {
  const compiler = join(project, "node_modules/typescript/bin/tsc");
  return new Promise((resolve) => {
    execFile(process.execPath, [compiler, "--project", project], (_error, stdout) => {
      resolve(stdout);
    });
  });
}

async function answering(browser: Browser, app: ChildProcess, output: string[]): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const isUp = await browser.get("/").then(
      () => true,
      () => false,
    );
    if (isUp) return;
    if (app.exitCode !== null || Date.now() > deadline) {
      throw new Error(`The example does not answer:\n${output.join("")}`);
    }
    await sleep(50);
  }
}

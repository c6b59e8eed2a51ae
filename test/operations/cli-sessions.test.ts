import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { UsageError } from "../../src/cli/command.js";
import { readCondition } from "../../src/cli/sessions.js";
import { bearer, type RunningApp, startBridgedApp, tokensOf } from "../support/app.js";
import { cli } from "../support/cli.js";
import type { Browser } from "../support/client.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { seedProcess } from "../support/month.js";
import { PgLegacyStore } from "../support/pg-legacy-store.js";
import { compasSystem, createCompasTable } from "../support/systems/compas.js";

let database: TestDatabase;
const env = () => ({ DATABASE_URL: database.url });

beforeAll(async () => {
  database = await testDatabase();
  await createCompasTable(database.pool);
  await new PgLegacyStore(database.pool).createTable();
});
afterAll(() => database.drop());
beforeEach(async () => {
  await database.pool.query(
    `truncate "sessionBridgeProcess", "sessionBridgeLink", "sessionStore", "session", "oldSession" cascade`,
  );
});

interface Client {
  readonly browser: Browser;
  readonly tokens: { accessToken: string | undefined; refreshToken: string | undefined };
}

async function login(app: RunningApp, user: string): Promise<Client> {
  const browser = app.browser();
  const response = await browser.get(`/login?user=${user}`);
  return { browser, tokens: tokensOf(response) };
}

/** Which of a client's credentials still open its session. */
async function alive(app: RunningApp, { browser, tokens }: Client) {
  const on = browser.clone({ baseUrl: app.url });
  const cookie = (await on.get("/whoami")).body.session?.userId !== undefined;
  const access = (await app.browser().get("/whoami", bearer(tokens.accessToken))).status === 200;
  const body = { refresh_token: tokens.refreshToken };
  const refresh = (await app.browser().post("/session/refresh", { body })).status === 200;
  return { cookie, access, refresh };
}

const dead = { cookie: false, access: false, refresh: false };

describe("with an old store that is a table (Compas)", () => {
  test("a user is logged out everywhere: cookie, tokens, and the cookie that never came back", async () => {
    const application = compasSystem().on(database.pool);
    const start = (mode: "bridge" | "observe") =>
      startBridgedApp(database.pool, {
        legacy: application.source(),
        mode,
        ...application.bridged,
      });
    const [app, observing] = await Promise.all([start("bridge"), start("observe")]);
    try {
      const [mine, other] = [await login(app, "user-1"), await login(app, "user-2")];
      const [unseen, unseenOther] = [
        await login(observing, "user-1"),
        await login(observing, "user-2"),
      ];
      await app.bridge.status();
      const dry = await cli(["sessions", "revoke", "--where", "userId=user-1", "--dry-run"], env());
      expect(dry).toEqual({
        code: 0,
        stdout: "Would revoke 1 session and 2 rows of the old store.\n",
        stderr: "",
      });
      const run = await cli(["sessions", "revoke", "--where", "userId=user-1", "--yes"], env());
      expect(run).toEqual({
        code: 0,
        stdout: "Revoked 1 session and 2 rows of the old store.\n",
        stderr: "",
      });
      expect(await alive(app, mine)).toEqual(dead);
      expect(await alive(app, unseen)).toEqual(dead);
      expect(await alive(observing, unseen)).toEqual(dead);
      expect(await alive(app, other)).toEqual({ cookie: true, access: true, refresh: true });
      expect((await alive(app, unseenOther)).cookie).toBe(true);
    } finally {
      await Promise.all([app.close(), observing.close()]);
    }
  });

  test("a request under way that has read the session before does not bring it back", async () => {
    const application = compasSystem().on(database.pool);
    let reached = () => {};
    let release = () => {};
    const isHeld = new Promise<void>((resolve) => (reached = resolve));
    const hold = new Promise<void>((resolve) => (release = resolve));
    const options = { legacy: application.source(), ...application.bridged };
    const observing = await startBridgedApp(database.pool, { ...options, mode: "observe" });
    const app = await startBridgedApp(database.pool, {
      ...options,
      legacy: application.source(),
      handlers: {
        ...application.bridged.handlers,
        "/held": async (ctx) => {
          ctx.session.touched = true;
          reached();
          await hold;
        },
      },
    });
    try {
      const client = await login(observing, "user-1");
      await app.bridge.status();
      await app.browser().get("/whoami");
      await app.bridge.status();
      const held = client.browser.clone({ baseUrl: app.url }).get("/held");
      await isHeld;
      const run = await cli(["sessions", "revoke", "--where", "userId=user-1", "--yes"], env());
      expect(run.stdout).toBe("Revoked 0 sessions and 1 row of the old store.\n");
      release();
      await held;
      expect(await alive(app, client)).toEqual(dead);
      const { rows } = await database.pool.query(`select from "session"`);
      expect(rows).toHaveLength(0);
    } finally {
      release();
      await Promise.all([app.close(), observing.close()]);
    }
  });
});

describe("what processes tell of their tables", () => {
  const row = () =>
    database.pool.query(
      `insert into "session" ("id", "expires", "data", "updatedAt", "createdAt")
      values (gen_random_uuid(), now() + interval '1 day', '{"userId": "user-1"}', now(), now())`,
    );
  const dryRun = () => cli(["sessions", "revoke", "--where", "userId=user-1", "--dry-run"], env());
  const table = {
    name: '"session"',
    key: '"id"',
    keyType: "uuid",
    value: '"data"',
    expires: '"expires"',
  };

  test("the table of one is searched while another, which told last, has none", async () => {
    await row();
    await seedProcess(database.pool, {
      mode: "bridge",
      about: { sources: [{ name: "compas", hasOldStore: true, table }] },
    });
    await seedProcess(database.pool, {
      mode: "bridge",
      about: { sources: [{ name: "cookies", hasOldStore: false, table: null }] },
    });
    const { stdout, stderr } = await dryRun();
    expect(stdout).toBe("Would revoke 0 sessions and 1 row of the old store.\n");
    expect(stderr).toMatch(/^Note: cookies of cookies carry their data themselves/);
  });

  test.each(["uuid returning 1), more as (select 1", undefined])(
    "nothing becomes part of a statement that is no name or type: %s",
    async (keyType) => {
      await row();
      const about = { sources: [{ name: "compas", table: { ...table, keyType } }] };
      await seedProcess(database.pool, { mode: "bridge", about });
      const { stdout, stderr } = await dryRun();
      expect(stdout).toBe("Would revoke 0 sessions.\n");
      expect(stderr).toContain("cannot be found");
    },
  );
});

describe("with another old store", () => {
  test("list shows no data; revoke ends what is upgraded and tells of what cannot be found", async () => {
    const app = await startBridgedApp(database.pool, {
      config: { store: new PgLegacyStore(database.pool) },
    });
    try {
      const client = await login(app, "user-1");
      await login(app, "user-2");
      await app.bridge.status();
      const where = ["--where", "userId=user-1"];
      const [text, json, none] = await Promise.all([
        cli(["sessions", "list", ...where], env()),
        cli(["sessions", "list", "--json", ...where], env()),
        cli(["sessions", "list", ...where, "--where", "admin=true"], env()),
      ]);
      expect(text.stdout).toMatch(
        /^id .*\n[\da-f-]{36} .* koa-session:\S+ +no +2 +\d{4}-.* UTC\n$/,
      );
      expect(text.stdout).not.toContain("user-1");
      const [found] = JSON.parse(json.stdout) as Record<string, unknown>[];
      expect(Object.keys(found!).sort()).toEqual([
        "cookieExpiresAt",
        "createdAt",
        "id",
        "isAdopted",
        "liveTokens",
        "source",
        "updatedAt",
      ]);
      expect(none.stdout).toBe("No session matches.\n");
      const run = await cli(["sessions", "revoke", ...where, "--yes"], env());
      expect(run.stdout).toBe("Revoked 1 session.\n");
      expect(run.stderr).toMatch(
        /^Note: cookie sessions of koa-session:\S+ that are not upgraded cannot be found/,
      );
      expect(await alive(app, client)).toEqual(dead);
      // In the old store it stays, for whoever goes back to the application without the bridge.
      expect((await database.pool.query(`select from "oldSession"`)).rows).toHaveLength(2);
    } finally {
      await app.close();
    }
  });

  test("--app destroys the old store's row as well", async () => {
    const folder = await mkdtemp(join(tmpdir(), "bridge-cli-"));
    const app = await startBridgedApp(database.pool, {
      config: { store: new PgLegacyStore(database.pool) },
    });
    try {
      const client = await login(app, "user-1");
      await login(app, "user-2");
      const file = join(folder, "app.mts");
      const support = (name: string) =>
        JSON.stringify(fileURLToPath(new URL(`../support/${name}.ts`, import.meta.url)));
      await writeFile(
        file,
        `import pg from ${JSON.stringify(import.meta.resolve("pg"))};
        import { startBridgedApp } from ${support("app")};
        import { seedProcess } from "../support/month.js";
import { PgLegacyStore } from ${support("pg-legacy-store")};
        const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
        const app = await startBridgedApp(pool, { config: { store: new PgLegacyStore(pool) } });
        export const { bridge } = app;`,
      );
      const args = ["sessions", "revoke", "--where", "userId=user-1", "--yes", "--app", file];
      const run = await cli(args, env());
      expect(run).toMatchObject({ code: 0, stdout: "Revoked 1 session.\n" });
      expect(await alive(app, client)).toEqual(dead);
      expect((await database.pool.query(`select from "oldSession"`)).rows).toHaveLength(1);
    } finally {
      await app.close();
      await rm(folder, { recursive: true });
    }
  });
});

test("conditions match text, numbers, booleans and members of members; all of them", async () => {
  await database.pool.query(
    `insert into "sessionStore" ("checksum", "data") values
      ('a', '{"userId": 42, "user": {"admin": true, "name": "x"}}'), ('b', '{"userId": "42"}'),
      ('c', '{"userId": 420}'), ('d', '{"other": 42}')`,
  );
  const count = async (...where: string[]) => {
    const args = where.flatMap((each) => ["--where", each]);
    const { stdout } = await cli(["sessions", "list", "--json", ...args], env());
    return (JSON.parse(stdout) as unknown[]).length;
  };
  const counts = await Promise.all([
    count("userId=42"),
    count("userId=42", "user.admin=true"),
    count("user.admin=true", "user.name=y"),
    count("user=42' or true --"),
  ]);
  expect(counts).toEqual([2, 1, 0, 0]);
  const many = await cli(["sessions", "revoke", "--where", "userId=42", "--yes", "--json"], env());
  expect(JSON.parse(many.stdout)).toEqual({ isComplete: true, sessions: 2, oldRows: 0 });
});

test("wrong use says what to do", async () => {
  const runs = await Promise.all([
    cli(["sessions"], env()),
    cli(["sessions", "list"], env()),
    cli(["sessions", "revoke", "--where", "userId=1"], env()),
    cli(["sessions", "list", "--where", "userId=1", "--limit", "1e30"], env()),
  ]);
  expect(runs.map(({ code, stdout }) => [code, stdout])).toEqual([
    [2, ""],
    [2, ""],
    [2, ""],
    [2, ""],
  ]);
  expect(runs[1].stderr).toMatch(/^Say whose: --where userId=42\./);
  expect(runs[2].stderr).toMatch(/^There is no terminal to ask in: give --yes/);
  expect(readCondition("a.b=c=d")).toEqual({ path: ["a", "b"], value: "c=d" });
  for (const given of ["a", "=b", "a..b=c", ".a=b"])
    expect(() => readCondition(given), given).toThrow(UsageError);
});

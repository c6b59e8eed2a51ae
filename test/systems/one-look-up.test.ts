import { connect } from "node:net";
import { text } from "node:stream/consumers";
import pg from "pg";
import { afterEach, describe, expect, it } from "vitest";
import { type RunningApp, startBridgedApp } from "../support/app.js";
import type { Browser } from "../support/client.js";
import { countStatements } from "../support/statements.js";
import { compasSystem } from "../support/systems/compas.js";
import { expressSessionSystem } from "../support/systems/express-session.js";
import { flowsOfTest, type SystemFlow } from "../support/systems/system-flow.js";
import type { Settings } from "../support/systems/old-system.js";

// An old store's table beside the bridge's own: the look-up of the link reads the session as well.
const start = flowsOfTest();
const compas = compasSystem();
const inSameDatabase: Settings = { options: { isInSameDatabase: true } };

const pools: pg.Pool[] = [];
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.end();
});

/** The first words of the statements that `work` sends, on the bridge's pool and the others. */
async function sent(flow: SystemFlow, work: () => Promise<unknown>): Promise<string[]> {
  const counts = [flow.database.statements, ...pools.map(countStatements)];
  for (const count of counts) count.reset();
  await work();
  return counts.flatMap(({ texts }) => texts.map(nameOf));
}

function nameOf(statement: string): string {
  const names: [RegExp, string][] = [
    [/unnest\(\$1::bytea\[\], \$2::text\[\]\)[^]*left join "session" o/, "read of both"],
    [/from "sessionBridgeLink" l left join/, "read"],
    [/insert into "sessionBridgeLink"/, "upgrade"],
    [/^select[^]* from "session" /i, "old read"],
    [/^(insert into|update) "session" /i, "old write"],
    [/\|\| \$3::jsonb/, "update"],
  ];
  return names.find(([pattern]) => pattern.test(statement))?.[1] ?? statement;
}

/** Requests that reach the server in one turn of its event loop: on one connection, in one write. */
async function pipelined(app: RunningApp, browsers: readonly Browser[]): Promise<void> {
  const socket = connect(Number(new URL(app.url).port), "127.0.0.1");
  const requests = browsers.map(({ cookies }, index) => {
    const cookie = [...cookies].map((pair) => pair.join("=")).join("; ");
    const connection = index === browsers.length - 1 ? "close" : "keep-alive";
    const lines = ["GET /whoami HTTP/1.1", "Host: 127.0.0.1", `Connection: ${connection}`];
    return [...lines, `Cookie: ${cookie}`, "", ""].join("\r\n");
  });
  socket.write(requests.join(""));
  expect((await text(socket)).split('"userId":')).toHaveLength(browsers.length + 1);
}

describe.each([
  ["Compas's table on the bridge's own pool", compas, undefined],
  [
    "connect-pg-simple's table, told to be in the same database",
    expressSessionSystem,
    inSameDatabase,
  ],
] as const)("A session in %s", (_, system, settings) => {
  async function open() {
    const flow = await start(system, settings);
    const app = await flow.bridged();
    return {
      flow,
      app,
      visitor: async () => (await flow.loginBefore()).clone({ baseUrl: app.url }),
    };
  }

  it("is read together with its link, and upgraded by one statement more", async () => {
    const { flow, visitor } = await open();
    for (const path of ["/whoami", "/untouched"]) {
      const browser = await visitor();
      const names = await sent(flow, () => browser.get(path));
      expect(names).toEqual(["read of both", "upgrade"]);
    }
  });

  // As a process in observe would, or one without the bridge.
  const [value, expiry] = system === compas ? ["data", "expires"] : ["sess", "expire"];
  const meanwhile = {
    "is changed": `update "session" set "${value}" = ("${value}"::jsonb || '{"cart": ["by another"]}')::json`,
    "is ended": `delete from "session"`,
    "runs out": `update "session" set "${expiry}" = now() - interval '1 second'`,
  };

  it.each(Object.entries(meanwhile))(
    "that %s while its first request is served is read once more",
    async (change, statement) => {
      const { flow } = await open();
      const app = await flow.bridged({
        handlers: {
          ...flow.application.bridged.handlers,
          "/meanwhile": async (ctx) => {
            await flow.database.pool.query(statement);
            ctx.body = {};
          },
        },
      });
      const browser = (await flow.loginBefore()).clone({ baseUrl: app.url });
      const names = await sent(flow, () => browser.get("/meanwhile"));
      const isChanged = change === "is changed";
      const again = ["old read", ...(isChanged ? ["upgrade"] : [])];
      expect(names).toEqual(["read of both", expect.any(String), "upgrade", ...again]);

      const { rows } = await flow.database.pool.query<{ data: object }>(
        `select s."data" from "sessionBridgeLink" l join "sessionStore" s on s."id" = l."session"`,
      );
      expect(rows.map(({ data }) => data)).toEqual(
        isChanged ? [{ userId: "user-1", cart: ["by another"] }] : [],
      );
      await app.close();
    },
  );

  it("that is changed by its first request is not read again", async () => {
    const { flow, visitor } = await open();
    const browser = await visitor();
    const names = await sent(flow, () => browser.get("/count"));
    expect(names.filter((name) => name !== "old write")).toEqual(["read of both", "upgrade"]);
  });

  it("is one read once it is upgraded", async () => {
    const { flow, visitor } = await open();
    const browser = await visitor();
    await browser.get("/whoami");
    for (const path of ["/whoami", "/untouched"]) {
      expect(await sent(flow, () => browser.get(path))).toEqual(["read of both"]);
    }
  });

  it("shares its look-up with fifty others at the same time", async () => {
    const { flow, app, visitor } = await open();
    const browsers = await Promise.all(Array.from({ length: 50 }, visitor));
    for (const isUpgraded of [false, true]) {
      const names = await sent(flow, () => pipelined(app, browsers));
      const looks = names.filter((name) => name === "read of both");
      expect(looks.length).toBeLessThanOrEqual(5);
      expect(names.length - looks.length).toBe(isUpgraded ? 0 : 50);
    }
  });

  it.each(["Asia/Tokyo", "America/New_York"])(
    "is given until its time is over, with a server in the time zone %s",
    async (zone) => {
      const { database } = await start(system, settings);
      const pool = new pg.Pool({
        connectionString: database.url,
        options: `-c TimeZone=${zone}`,
        max: 5,
      });
      pools.push(pool);
      const application = system.on(pool, settings);
      const plain = await application.startPlain();
      const app = await startBridgedApp(pool, {
        ...application.bridged,
        legacy: application.source(),
      });
      const column = system === compas ? "expires" : "expire";
      for (const [lifetime, expected] of [
        ["1 minute", { userId: "user-1" }],
        ["-1 minute", {}],
      ] as const) {
        const browser = plain.browser();
        await browser.get("/login");
        await pool.query(`update "session" set "${column}" = now() + interval '${lifetime}'`);
        const { body } = await browser.clone({ baseUrl: app.url }).get("/whoami");
        expect(body.session).toEqual(expected);
      }
      await plain.close();
      await app.close();
    },
  );

  it.each(["force_custom_plan", "force_generic_plan"])(
    "and its link are found by index, by %s",
    async (mode) => {
      const { flow, visitor } = await open();
      const { pool, queries } = flow.database;
      await fill(pool, system === compas);
      const browser = await visitor();
      await sent(flow, () => browser.get("/whoami"));
      const statement = queries.find((query) => nameOf(query) === "read of both");
      expect(statement).toBeDefined();

      const client = await pool.connect();
      await client.query(`set plan_cache_mode = ${mode}`);
      await client.query(`prepare look_up (bytea[], text[], timestamptz) as ${statement}`);
      const { rows } = await client.query<{ "QUERY PLAN": [{ Plan: PlanNode }] }>(
        `explain (format json) execute look_up (array['\\x01'::bytea], array['${crypto.randomUUID()}'], now())`,
      );
      client.release(true);

      const scans = scansOf(rows[0]!["QUERY PLAN"][0].Plan);
      expect(scans).toEqual({
        session: "Index Scan",
        sessionBridgeLink: "Index Scan",
        sessionStore: "Index Scan",
        sessionStoreToken: "Index Scan",
      });
    },
  );
});

interface PlanNode {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly Plans?: readonly PlanNode[];
}

function scansOf(node: PlanNode): Record<string, string> {
  const below = (node.Plans ?? []).map(scansOf);
  const name = node["Relation Name"];
  return Object.assign({}, ...below, name && { [name]: node["Node Type"] }) as Record<
    string,
    string
  >;
}

/** 20,000 sessions in each table. */
async function fill(pool: pg.Pool, isCompas: boolean): Promise<void> {
  const old = isCompas
    ? `insert into "session" ("expires", "data") select now() + interval '1 day', '{}'`
    : `insert into "session" ("sid", "sess", "expire") select gen_random_uuid(), '{}', now() + interval '1 day'`;
  await pool.query(`${old} from generate_series(1, 20000)`);
  await pool.query(
    `with s as (
      insert into "sessionStore" ("id", "checksum", "data", "createdAt", "updatedAt")
      select gen_random_uuid(), '', '{}', now(), now() from generate_series(1, 20000) returning "id"
    ), t as (
      insert into "sessionStoreToken" ("id", "session", "expiresAt", "createdAt")
      select gen_random_uuid(), "id", now(), now() from s
    )
    insert into "sessionBridgeLink" ("key", "source", "session", "createdAt")
    select sha256("id"::text::bytea), 'a source', "id", now() from s`,
  );
  await pool.query("analyze");
}

describe("The old store's own read is used", () => {
  const withOwnRead = ["read", "old read", "old read", "upgrade"];

  it("for Compas's table on another pool", async () => {
    const flow = await start(compas);
    const other = new pg.Pool({ connectionString: flow.database.url, max: 2 });
    pools.push(other);
    const app = await flow.bridged({ legacy: compas.on(other).source() });
    const browser = (await flow.loginBefore()).clone({ baseUrl: app.url });
    const names = await sent(flow, () => browser.get("/whoami"));
    expect(names.sort()).toEqual(withOwnRead.toSorted());
  });

  it("for connect-pg-simple's unless it is told to be in the same database", async () => {
    const flow = await start(expressSessionSystem);
    const app = await flow.bridged();
    const browser = (await flow.loginBefore()).clone({ baseUrl: app.url });
    expect(await sent(flow, () => browser.get("/whoami"))).toEqual(withOwnRead);
  });
});

import { afterEach, describe, expect, test } from "vitest";
import { type RunningApp, startBridgedApp } from "../support/app.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { secrets } from "../support/secrets.js";
import { login, type Tokens } from "../support/tokens.js";

// Every flow is searched for secrets by support/secrets-setup.ts. Here they are planted, to see that the
// search is not blind.
let closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closing.reverse()) await close();
  closing = [];
});

async function start(options?: Parameters<typeof startBridgedApp>[1]): Promise<RunningApp> {
  const database: TestDatabase = await testDatabase();
  const app = await startBridgedApp(database.pool, options);
  closing.push(
    () => database.drop(),
    () => app.close(),
  );
  return app;
}

describe("the search itself", () => {
  async function plant(): Promise<Tokens> {
    const app = await start();
    return (await login(app)).pair;
  }

  test("finds a secret that is logged", async () => {
    const { accessToken, refreshToken } = await plant();
    secrets.takeLeaks();
    const signature = refreshToken.slice(refreshToken.lastIndexOf(".") + 1);
    // eslint-disable-next-line no-console
    console.debug("planted by a test:", { accessToken });
    process.stderr.write(`planted by a test: ${signature}\n`);
    const leaks = secrets.takeLeaks();
    expect(leaks).toContainEqual(expect.stringContaining("in console.debug"));
    expect(leaks).toContainEqual(expect.stringMatching(/^signature of a token .* in stderr$/));
  });

  test("finds a secret that is told or answered", async () => {
    const app = await start({
      handlers: {
        "/tell": (ctx) => ctx.throw(400, `planted by a test: ${ctx.get("Cookie")}`),
      },
      labels: (ctx) => {
        throw new Error(`planted by a test: ${ctx.get("Cookie")}`);
      },
    });
    const { browser } = await login(app);
    secrets.takeLeaks();
    await browser.get("/tell");
    const leaks = secrets.takeLeaks();
    for (const where of ["event error", "Koa's event error", "the body of a 400"]) {
      expect(leaks).toContainEqual(expect.stringContaining(`in ${where}`));
    }
  });

  test("finds a secret that is stored, in clear or as bytes", async () => {
    const own = await testDatabase();
    const { accessToken } = await plant();
    await own.pool.query(
      `insert into "sessionStore" ("checksum", "data") values ('', jsonb_build_object('a', $1::text))`,
      [accessToken],
    );
    await own.pool.query(
      `insert into "sessionBridgeLink" ("key", "source", "sealedKey") values ('', '', $1)`,
      [Buffer.from(accessToken)],
    );
    const leaks = await secrets.leaksInRows(own.directUrl);
    expect(leaks).toContainEqual(expect.stringContaining("in a row of sessionStore"));
    expect(leaks).toContainEqual(expect.stringContaining("in a row of sessionBridgeLink"));
    await expect(own.drop()).rejects.toThrow("Secrets leaked");
  });
});

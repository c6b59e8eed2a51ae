import type { Pool } from "pg";
import { migrate } from "../src/tokens/index.js";
import { Browser } from "../test/support/client.js";
import { createBridgedShop, createOldShop, createSetting, listen } from "./app.js";

/** Keeps the shop up, in mode bridge, until it is interrupted; ada logged in before the bridge was there. */
export async function serve(
  { url, pool }: { url: string; pool: Pool },
  port: number,
  interrupted: Promise<void>,
): Promise<number> {
  const setting = createSetting(pool, () => new Date());
  await setting.store.createTable();
  await migrate(pool);
  const onError = (error: Error) => {
    console.error(error);
  };

  const old = await listen(createOldShop(setting), port, onError);
  const browser = new Browser(`http://127.0.0.1:${port}`);
  await browser.post("/login/ada");
  await browser.post("/cart/tea");
  await old.close();

  const { app, bridge } = createBridgedShop(setting);
  bridge.on("error", onError);
  // For the demo alone: whoever opens the page is the operator.
  app.use(bridge.dashboard({ authorize: () => "the demo's visitor" }));
  const running = await listen(app, port, onError);
  process.stdout.write(instructions(browser, url));

  await interrupted;
  process.stdout.write("\nStopping.\n");
  await running.close();
  await bridge.close();
  return 0;
}

function instructions({ baseUrl, cookies }: Browser, databaseUrl: string): string {
  const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  return `
The shop is up at ${baseUrl}, in mode bridge, on a PostgreSQL of its own.
Ada logged in before the bridge was there; $COOKIE is what her browser has kept since then.
In another terminal:

  cd "$(mktemp -d)"; URL=${baseUrl}
  export CURL_HOME=$PWD; echo 'write-out = "\\n"' > .curlrc
  COOKIE='${cookie}'

  # Her cookie still opens her session, and the response headers bring her tokens.
  curl -i -b "$COOKIE" $URL/cart

  # The same tokens, as JSON.
  curl -s -X POST -b "$COOKIE" $URL/session/upgrade | tee pair.json
  ACCESS=$(node -p "JSON.parse(fs.readFileSync('pair.json')).access_token")

  # The token opens the same session. From here on the cookie is offered no more tokens.
  curl -i -X POST -H "Authorization: Bearer $ACCESS" $URL/cart/milk
  curl -i -b "$COOKIE" $URL/cart

  # Refresh. Again within 15 seconds: the same pair. Later: the session is revoked.
  curl -i -X POST -H 'Content-Type: application/json' -d @pair.json $URL/session/refresh

  # A new login gets a cookie and tokens; in drain and tokens, tokens alone.
  curl -i -X POST $URL/login/ben

  # Log out by the token: the cookie is dead as well.
  curl -i -X POST -H "Authorization: Bearer $ACCESS" $URL/session/logout
  curl -i -b "$COOKIE" $URL/cart

  # The counts, for Prometheus.
  curl -s $URL/metrics

In a browser, the operator's page: ${baseUrl}/session-bridge

In a third terminal, in the project's folder:

  export DATABASE_URL=${databaseUrl}
  npx tsx src/cli/main.ts status
  npx tsx src/cli/main.ts doctor
  npx tsx src/cli/main.ts mode drain --reason "to see it" --yes

Ctrl-C stops it all.
`;
}

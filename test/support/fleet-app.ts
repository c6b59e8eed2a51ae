import pg from "pg";
import { startBridgedApp } from "./app.js";
import { flagInDatabase } from "./fleet.js";
import { PgLegacyStore } from "./pg-legacy-store.js";

// A process of a fleet that follows the flag in PostgreSQL, for startWorkers. By environment:
// DATABASE_URL, SESSION_BRIDGE_MODE, and LISTEN for a pool that listens. Each response tells the mode in
// X-Mode, and the header X-Client becomes a label. SIGTERM closes the bridge.
const { DATABASE_URL, LISTEN } = process.env;
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 10 });
let mode = "";
const { app, bridge, url } = await startBridgedApp(pool, {
  ...flagInDatabase,
  ...(LISTEN !== undefined && { directPool: pool }),
  config: { store: new PgLegacyStore(pool) },
  labels: (ctx) => ({ client: ctx.get("X-Client") }),
  above: async (ctx, next) => {
    await next();
    ctx.set("X-Mode", mode);
  },
});
bridge.on("request", (request) => (mode = request.mode));
process.once("SIGTERM", () => void bridge.close().then(() => process.exit(0)));
// What an outage does is expected here.
app.on("error", () => undefined);
process.send?.({ port: Number(new URL(url).port) });

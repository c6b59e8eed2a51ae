import pg from "pg";
import { startBridgedApp } from "./app.js";
import { PgLegacyStore } from "./pg-legacy-store.js";

// The application of the tests as a process of its own, for startWorkers. By environment: DATABASE_URL,
// LEGACY ("store" or "cookie"), and SESSION_BRIDGE_MODE. A request with the header X-Hold never gets its
// response, though all the work for it is done.
const { DATABASE_URL, LEGACY } = process.env;
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 10 });
const { app, bridge, url } = await startBridgedApp(pool, {
  config: LEGACY === "cookie" ? {} : { store: new PgLegacyStore(pool) },
  above: async (ctx, next) => {
    await next();
    if (ctx.get("X-Hold") === "") return;
    process.stdout.write("held\n");
    await new Promise(() => undefined);
  },
});
const tell = (error: Error) => process.stderr.write(`${String(error.stack)}\n`);
app.on("error", tell);
bridge.on("error", tell);
process.send?.({ port: Number(new URL(url).port) });

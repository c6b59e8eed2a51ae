import { tellTime } from "./told-time.js";
import pg from "pg";
import { startBridgedApp } from "../app.js";
import { flagInDatabase } from "../fleet.js";
import { compasSystem } from "../systems/compas.js";

// A process of a Compas application with the bridge, in a simulated month. By environment: DATABASE_URL
// and TOLD_TIME. Each request tells the time in X-Now; /status answers with the status.
const pool = new pg.Pool({ connectionString: process.env["DATABASE_URL"], max: 10 });
const application = compasSystem().on(pool);
const { bridge, app, url } = await startBridgedApp(pool, {
  ...application.bridged,
  ...flagInDatabase,
  legacy: application.source(),
  labels: (ctx) => ({ client: ctx.get("X-Client") }),
  above: async (ctx, next) => {
    tellTime(Number(ctx.get("X-Now")));
    if (ctx.path === "/status") ctx.body = await bridge.status();
    else await next();
  },
});
const tell = (error: Error) => process.stderr.write(`${String(error.stack)}\n`);
app.on("error", tell);
bridge.on("error", tell);
process.send?.({ port: Number(new URL(url).port) });

import pg from "pg";
import { startBridgedApp } from "../app.js";
import { systemNamed } from "./index.js";

// The application of an old system with the bridge, as a process of its own, for startWorkers. By
// environment: DATABASE_URL, OLD_SYSTEM (its name) and SESSION_BRIDGE_MODE.
const { DATABASE_URL, OLD_SYSTEM } = process.env;
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 10 });
const application = systemNamed(OLD_SYSTEM).on(pool);
const { app, bridge, url } = await startBridgedApp(pool, {
  ...application.bridged,
  legacy: application.source(),
});
const tell = (error: Error) => process.stderr.write(`${String(error.stack)}\n`);
app.on("error", tell);
bridge.on("error", tell);
process.send?.({ port: Number(new URL(url).port) });

import pg from "pg";
import { listen, signingKeys } from "./app.js";
import { koaSession, sessionBridge } from "../../src/index.js";
import { Koa, session } from "./versions.js";

// A process that serves a request and then ends its server and its pool, but never the bridge. By
// environment: DATABASE_URL.
const pool = new pg.Pool({ connectionString: process.env["DATABASE_URL"] });
const app = Object.assign(new Koa(), { keys: ["a key of the cookies"] });
app.use(sessionBridge({ legacy: koaSession(session, {}), pool, tokens: { signingKeys } }, app));
const { url, close } = await listen(app);
await fetch(url);
await close();
await pool.end();

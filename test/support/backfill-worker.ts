import pg from "pg";
import { koaSession, sessionBridge } from "../../src/index.js";
import { MapStore, signingKeys } from "./app.js";
import { compasSystem } from "./systems/compas.js";
import { Koa, session } from "./versions.js";

// The module of an application's bridge, as the command line imports it: for `--app`. By environment:
// DATABASE_URL. Its pool stays open, and so do its timers.
const pool = new pg.Pool({ connectionString: process.env["DATABASE_URL"], max: 10 });
const app = new Koa();
app.keys = ["a key of the application"];
export const bridge = sessionBridge(
  {
    legacy: [
      compasSystem().on(pool).source(),
      koaSession(session, {}),
      koaSession(session, { key: "admin.sess", store: new MapStore() }),
    ],
    pool,
    tokens: { signingKeys },
  },
  app,
);
app.use(bridge);
setInterval(() => undefined, 1000);

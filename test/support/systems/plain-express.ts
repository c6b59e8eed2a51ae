import express, { type RequestHandler } from "express";
import { listen } from "../app.js";
import type { PlainApp } from "./old-system.js";
import { actionsOf, appPath, type Carrier, dataOf, type SessionApi } from "./session-api.js";

/** An Express application with an old session middleware: what the Koa application came from. */
export async function startPlainExpress(
  middleware: RequestHandler,
  api: SessionApi,
): Promise<PlainApp> {
  const actions = actionsOf(api);
  const app = express();
  // Express would tell errors on the console.
  app.set("env", "test");
  app.use(middleware);
  app.use((request, response, next) => {
    const on = request as unknown as Carrier;
    const path = request.path.replace(new RegExp(`^${appPath}/`), "/");
    const act = actions[path] ?? actions["/whoami"]!;
    act(on)
      .then(async () => response.json({ session: dataOf(await api.read(on)) }))
      .catch(next);
  });
  return listen(app);
}

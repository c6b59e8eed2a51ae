import type { RequestListener } from "node:http";
import type { newEvent } from "@compas/stdlib";
import type { newPostgresConnection, sessionStoreGet, sessionStoreUpdate } from "@compas/store";
import type connectPgSimple from "connect-pg-simple";
import type express from "express";
import type expressSession from "express-session";
import type { Context } from "koa";
import { answer, type BenchSession, bearerToken, cookieConfig, type Kit, koa } from "./kit.js";
import { lifetimeInSeconds } from "./credentials.js";
import { expressTable } from "./world.js";

interface Peers {
  readonly newEvent: typeof newEvent;
  readonly newPostgresConnection: typeof newPostgresConnection;
  readonly sessionStoreGet: typeof sessionStoreGet;
  readonly sessionStoreUpdate: typeof sessionStoreUpdate;
  readonly connectPgSimple: typeof connectPgSimple;
  readonly express: typeof express;
  readonly expressSession: typeof expressSession;
}

const importPeers = async () =>
  (await import(new URL("peers/index.js", import.meta.url).href)) as Peers;

/** Compas's own functions, in the middleware that its users write around them. */
export async function compasApplication(kit: Kit): Promise<RequestListener> {
  const { newEvent, newPostgresConnection, sessionStoreGet, sessionStoreUpdate } =
    await importPeers();
  const { databaseUrl, secrets } = kit.world;
  const { hostname, port, username, password, pathname } = new URL(databaseUrl);
  const sql = await newPostgresConnection({
    host: hostname,
    port: Number(port),
    user: username,
    password,
    database: pathname.slice(1),
    ssl: false,
    max: 10,
  });
  const settings = {
    accessTokenMaxAgeInSeconds: 900,
    refreshTokenMaxAgeInSeconds: lifetimeInSeconds,
    signingKey: secrets.signingKey,
  };
  const event = () => newEvent({ info: () => undefined, error: () => undefined });
  return koa(kit, (app) =>
    app.use(async (ctx: Context & { session?: unknown }, next) => {
      const { value } = await sessionStoreGet(event(), sql, settings, bearerToken(ctx));
      ctx.session = value?.session.data;
      await next();
      // It would write whatever it has not written itself: a read is to be no more than a read.
      if (value === undefined || !ctx.path.startsWith("/count/")) return;
      const { error } = await sessionStoreUpdate(event(), sql, value.session as never);
      if (error !== undefined) throw new Error(error.key);
    }),
  );
}

/** The Express that many come from, set up as its documentation says. */
export async function expressApplication({ world, pool }: Kit): Promise<RequestListener> {
  const { connectPgSimple, express, expressSession } = await importPeers();
  const app = express();
  app.disable("etag");
  const Store = connectPgSimple(expressSession);
  app.use(
    expressSession({
      name: cookieConfig.key,
      secret: world.secrets.cookieKey,
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge: cookieConfig.maxAge },
      store: new Store({ pool, tableName: expressTable, pruneSessionInterval: false }),
    }),
  );
  app.use((request, response) => {
    const { session } = request as typeof request & { session: BenchSession };
    const { status, body } = answer(session, request.path);
    response.status(status).json(body);
  });
  return app;
}

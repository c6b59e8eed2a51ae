import type { RequestListener } from "node:http";
import { jwtVerify } from "jose";
import type { Context } from "koa";
import session from "koa-session";
import pg from "pg";
import { keyId } from "./credentials.js";
import { type BenchContext, bearerToken, cookieConfig, type Kit, koa, reading } from "./kit.js";
import { compasApplication, expressApplication } from "./peer-apps.js";
import { importBuilt } from "./product.js";
import type { World } from "./serve.js";

async function joseVerifier({ world }: Kit) {
  const secret = new TextEncoder().encode(world.secrets.signingKey);
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", secret, algorithm, false, ["verify"]);
  return (ctx: Context) =>
    jwtVerify(bearerToken(ctx), key, { algorithms: ["HS256"] }).then(
      ({ payload }) => payload,
      () => undefined,
    );
}

const selectSession = `select "data" from "sessionStore" where "id" = $1 and "revokedAt" is null`;
const joinSession = `select s."data" from "sessionStoreToken" t join "sessionStore" s on s."id" = t."session"
  where t."id" = $1 and t."revokedAt" is null and t."expiresAt" > now() and s."revokedAt" is null`;

const signingKeys = ({ world }: Kit) => [
  { kid: keyId, alg: "HS256" as const, key: world.secrets.signingKey },
];

const oldStore = ({ bridge, pool }: Kit) => bridge.compasLegacyStore(pool);

function bridged(kit: Kit, options: { offer?: () => boolean } = {}): RequestListener {
  const { bridge, pool } = kit;
  const config = { ...cookieConfig, store: oldStore(kit) };
  const legacy = bridge.koaSession(session, config);
  const tokens = { signingKeys: signingKeys(kit) };
  return koa(kit, (app) => {
    app.use(
      bridge.sessionBridge({ legacy, pool, tokens, mode: "bridge", ...options }, app) as never,
    );
  });
}

const tokenSession = (kit: Kit, options: object = {}) =>
  koa(kit, (app) => {
    const { pool, tokens } = kit;
    app.use(tokens.tokenSession({ pool, signingKeys: signingKeys(kit), ...options }) as never);
  });

const applications: Record<string, (kit: Kit) => RequestListener | Promise<RequestListener>> = {
  bare: (kit) =>
    koa(kit, (app) => {
      app.use((ctx: BenchContext, next) => {
        ctx.session = { userId: Number(ctx.path.split("/")[2]), count: 0 };
        return next();
      });
    }),
  stateless: async (kit) => {
    const verify = await joseVerifier(kit);
    return koa(kit, (app) => app.use(reading(verify)));
  },
  select: (kit) =>
    koa(kit, (app) => {
      const read = async (ctx: Context) => {
        const { rows } = await kit.pool.query(selectSession, [bearerToken(ctx)]);
        return rows[0]?.data;
      };
      app.use(reading(read));
    }),
  join: async (kit) => {
    const verify = await joseVerifier(kit);
    const read = async (ctx: Context) => {
      const { rows } = await kit.pool.query(joinSession, [(await verify(ctx))?.jti]);
      return rows[0]?.data;
    };
    return koa(kit, (app) => app.use(reading(read)));
  },
  strict: (kit) => tokenSession(kit),
  bridge: (kit) => bridged(kit),
  cached: async (kit) => {
    const { world, pool, tokens } = kit;
    // stage.ts removes the triggers again.
    await tokens.migrate(pool, { cache: true });
    return tokenSession(kit, {
      directPool: new pg.Pool({ connectionString: world.databaseUrl, max: 1 }),
      cache: { maxEntries: 100_000, maxAgeInSeconds: 60 },
    });
  },
  // As a page's own requests: a navigation is offered nothing, nor is a client that has adopted its tokens.
  cookie: (kit) => bridged(kit, { offer: () => false }),
  "cookie-offer": (kit) => bridged(kit),
  "koa-session": (kit) =>
    koa(kit, (app) => {
      app.use(session({ ...cookieConfig, store: oldStore(kit) }, app as never) as never);
    }),
  "koa-session-cookie": (kit) =>
    koa(kit, (app) => {
      app.use(session(cookieConfig, app as never) as never);
    }),
  compas: compasApplication,
  express: expressApplication,
};

/** @throws Error when no application is known by that id */
export async function applicationOf(variant: string, world: World): Promise<RequestListener> {
  const make = applications[variant];
  if (make === undefined) throw new Error(`there is no application of that name`);
  const pool = new pg.Pool({ connectionString: world.databaseUrl, max: 10 });
  const bridge = await importBuilt<Kit["bridge"]>({ url: world.product }, "index.js");
  const tokens = await importBuilt<Kit["tokens"]>({ url: world.product }, "tokens/index.js");
  return make({ world, bridge, tokens, pool });
}

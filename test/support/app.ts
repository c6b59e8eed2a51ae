import { type EventEmitter, once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Context, Next } from "koa";
import {
  koaSession,
  sessionBridge,
  type SessionBridge,
  type SessionBridgeOptions,
} from "../../src/index.js";
import type { Pool } from "../../src/tokens/index.js";
import { Browser } from "./client.js";
import { type Counts, countEvents } from "./counts.js";
import { Koa, type KoaSession, session } from "./versions.js";

/** An old store in memory, as the applications of the recorded sessions had. */
export class MapStore {
  readonly entries = new Map<string, unknown>();

  async get(key: string): Promise<unknown> {
    return structuredClone(this.entries.get(key));
  }

  async set(key: string, value: unknown): Promise<void> {
    this.entries.set(key, structuredClone(value));
  }

  async destroy(key: string): Promise<void> {
    this.entries.delete(key);
  }
}

export const cookieKeys = ["cookie-key-new-0123456789", "cookie-key-old-0123456789"];
export const signingKeys: SessionBridgeOptions["tokens"]["signingKeys"] = [
  { kid: "first", alg: "HS256", key: "a signing secret of more than 32 bytes" },
];

export type Handler = (ctx: Context & { session: any }) => unknown;

/** What differs from the application of most tests. */
export interface AppOptions {
  /** Of koa-session. */
  config?: object;
  handlers?: Record<string, Handler>;
  /** A middleware above the session. */
  above?: (ctx: Context & { session: any }, next: Next) => Promise<void>;
  /** Other versions than the ones of this run. */
  versions?: { Koa: typeof Koa; session: KoaSession };
  /** `app.keys`; null leaves them as they are. */
  keys?: string[] | null;
}

/** What the applications under test do; each answers with the session after it. */
export const handlers: Record<string, Handler> = {
  "/whoami": () => undefined,
  "/untouched": (ctx) => {
    ctx.body = "untouched";
  },
  "/login": (ctx) => {
    ctx.session = { userId: ctx.query["user"] ?? "user-1" };
  },
  "/count": (ctx) => {
    ctx.session.count = ((ctx.session.count as number | undefined) ?? 0) + 1;
  },
  "/set": (ctx) => {
    for (const [name, value] of Object.entries(ctx.query)) ctx.session[name] = value;
  },
  "/logout": (ctx) => {
    ctx.session = null;
  },
  "/regenerate": (ctx) => ctx.session.regenerate(),
  "/save": (ctx) => ctx.session.save(),
  "/throw": (ctx) => {
    ctx.session.thrown = true;
    throw new Error("the handler's own error");
  },
};

export function handle(more: Record<string, Handler> = {}) {
  const all = { ...handlers, ...more };
  return async (ctx: Context & { session: any }) => {
    await (all[ctx.path] ?? handlers["/whoami"]!)(ctx);
    ctx.body ??= { session: ctx.session, isNew: Boolean(ctx.session?.isNew) };
  };
}

export interface RunningApp {
  /** The Koa application, for its events. */
  readonly app: EventEmitter;
  readonly bridge: SessionBridge;
  /** What the bridge has told so far. */
  counts(): Counts;
  readonly url: string;
  /** Errors that reached Koa's `error` event. */
  readonly errors: Error[];
  /** Errors that the bridge told of beside a request. */
  readonly bridgeErrors: Error[];
  browser(): Browser;
  close(): Promise<void>;
}

/** The application of the tests with the bridge in place of `session(config, app)`, listening. */
export async function startBridgedApp(
  pool: Pool,
  options: Partial<SessionBridgeOptions> & AppOptions = {},
): Promise<RunningApp> {
  const { config = { store: new MapStore() }, handlers: more, above, ...others } = options;
  const { versions = { Koa, session }, keys = cookieKeys, ...rest } = others;
  const app = new versions.Koa();
  if (keys !== null) app.keys = keys;
  const errors: Error[] = [];
  app.on("error", (error: Error) => errors.push(error));
  if (above !== undefined) app.use(above as never);
  const legacy = rest.legacy ?? koaSession(versions.session, config);
  // Of most tests the mode is no matter, and must not come from a database that they stop.
  const hasMode = !("mode" in rest) && process.env["SESSION_BRIDGE_MODE"] === undefined;
  const bridge = sessionBridge(
    { legacy, pool, tokens: { signingKeys }, ...(hasMode && { mode: "bridge" }), ...rest },
    app,
  );
  const counts = countEvents(
    bridge,
    [legacy].flat().map((source) => source.name),
  );
  const bridgeErrors: Error[] = [];
  bridge.on("error", (error) => bridgeErrors.push(error));
  app.use(bridge);
  app.use(bridge.routes());
  app.use(handle(more));
  const listening = await listen(app);
  return {
    ...listening,
    app,
    bridge,
    counts,
    errors,
    bridgeErrors,
    close: async () => {
      await listening.close();
      await bridge.close();
    },
  };
}

/** The same application with plain koa-session. */
export async function startPlainApp(
  config: object = { store: new MapStore() },
  more: Record<string, Handler> = {},
  { versions = { Koa, session }, keys = cookieKeys }: Pick<AppOptions, "versions" | "keys"> = {},
): Promise<Pick<RunningApp, "app" | "url" | "browser" | "close">> {
  const app = new versions.Koa();
  if (keys !== null) app.keys = keys;
  app.on("error", () => undefined);
  app.use(versions.session({ ...config }, app));
  app.use(handle(more));
  return { ...(await listen(app)), app };
}

/** Serves an application on a free port of 127.0.0.1. */
export async function listen(app: { listen(port: number, host: string): Server }) {
  const server = app.listen(0, "127.0.0.1");
  // A client that pauses must not meet a connection that is just being closed.
  server.keepAliveTimeout = 0;
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    browser: () => new Browser(url),
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** The tokens in a response's default headers. */
export function tokensOf(response: { headers: Record<string, unknown> }) {
  return {
    accessToken: response.headers["session-access-token"] as string | undefined,
    refreshToken: response.headers["session-refresh-token"] as string | undefined,
  };
}

export const bearer = (accessToken: string | undefined) => ({
  headers: { authorization: `Bearer ${accessToken}` },
});

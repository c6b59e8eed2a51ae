import type { Context, Middleware, Next } from "koa";
import { answerProblem, BridgeError } from "../errors.js";
import { OptionsReader } from "../options.js";
import { forbidCaching, isCrossSite } from "../transport.js";
import type { TokenPair } from "./jwt.js";

/** What the endpoints do, by who answers the request. */
export interface EndpointActions {
  /** The pair of the request's cookie session. */
  upgrade(ctx: Context): Promise<TokenPair>;
  refresh(refreshToken: string): Promise<TokenPair | undefined>;
  /** Ends the request's session. */
  logout(ctx: Context): Promise<void>;
  /** Whether a session was resolved for the request before the endpoints were reached. */
  isResolved(ctx: Context): boolean;
  /** Resolves the session, then calls `next`: the middleware that the endpoints belong to. */
  resolve(ctx: Context, next: Next): Promise<void>;
  /** The endpoint answers with a problem document. */
  refused(error: BridgeError): void;
  now(): Date;
}

export interface Endpoints {
  readonly middleware: Middleware;
  /** A refresh stands by itself: it may come with an expired access token. */
  isRefresh(ctx: Context): boolean;
}

/** The options of `routes()`. */
export interface RoutesOptions {
  /** Where the endpoints are. Default `/session`. */
  prefix?: string;
}

/** @throws TypeError that lists every invalid option */
export function readPrefix(options: RoutesOptions = {}): string {
  const reader = new OptionsReader("routes");
  const { prefix } = reader.object("options", options, ["prefix"]);
  const isPath = (value: unknown) => typeof value === "string" && /^(?:\/[^/?#]+)*$/.test(value);
  const read = reader.optional("prefix", prefix, isPath, "a path such as /session", "/session");
  reader.finish();
  return read;
}

/** `POST {prefix}/upgrade`, `/refresh` and `/logout`: JSON in, JSON out (RFC 6749 section 5.1). */
export function createEndpoints(prefix: string, actions: EndpointActions): Endpoints {
  const routes = new Map<string, (ctx: Context) => Promise<void>>([
    [
      `${prefix}/refresh`,
      async (ctx) => {
        const pair = await actions.refresh(await readRefreshToken(ctx));
        if (pair === undefined) throw new BridgeError("invalid-token");
        answerPair(ctx, pair, actions.now());
      },
    ],
    [
      `${prefix}/upgrade`,
      async (ctx) => {
        refuseCrossSite(ctx);
        answerPair(ctx, await actions.upgrade(ctx), actions.now());
      },
    ],
    [
      `${prefix}/logout`,
      async (ctx) => {
        refuseCrossSite(ctx);
        await actions.logout(ctx);
        ctx.status = 204;
      },
    ],
  ]);
  const isRefresh = (ctx: Context) => ctx.path === `${prefix}/refresh`;

  return {
    isRefresh,
    async middleware(ctx, next) {
      const route = routes.get(ctx.path);
      if (route === undefined) return next() as Promise<void>;
      const run = async () => {
        try {
          if (ctx.method !== "POST") throw new BridgeError("method-not-allowed");
          await route(ctx);
        } catch (error) {
          if (!(error instanceof BridgeError)) throw error;
          if (error.status >= 500) ctx.app.emit("error", error, ctx);
          actions.refused(error);
          answerProblem(ctx, error);
        }
      };
      return isRefresh(ctx) || actions.isResolved(ctx) ? run() : actions.resolve(ctx, run);
    },
  };
}

// With a token no other site can have made the request on its own. These a browser adds by itself, like a cookie.
const addedByBrowser = /^(basic|digest|negotiate|ntlm)\b|^$/i;

function refuseCrossSite(ctx: Context): void {
  if (isCrossSite(ctx) && addedByBrowser.test(ctx.get("Authorization").trim()))
    throw new BridgeError("cross-site-request");
}

function answerPair(ctx: Context, pair: TokenPair, now: Date): void {
  forbidCaching(ctx);
  const secondsUntil = (date: Date) =>
    Math.max(0, Math.round((date.getTime() - now.getTime()) / 1000));
  ctx.status = 200;
  ctx.body = {
    access_token: pair.accessToken,
    token_type: "Bearer",
    expires_in: secondsUntil(pair.accessTokenExpiresAt),
    refresh_token: pair.refreshToken,
    refresh_expires_in: secondsUntil(pair.refreshTokenExpiresAt),
  };
}

// Larger than any refresh token.
const maximumBodyLength = 16 * 1024;

async function readRefreshToken(ctx: Context): Promise<string> {
  const body = await readBody(ctx);
  const token =
    typeof body === "object" && body !== null && "refresh_token" in body
      ? body.refresh_token
      : null;
  if (typeof token !== "string" || token === "") throw new BridgeError("invalid-request");
  return token;
}

/** The JSON body, from a body parser that ran before or read here. */
async function readBody(ctx: Context): Promise<unknown> {
  if ("body" in ctx.request && ctx.request.body !== undefined) return ctx.request.body;
  if (!ctx.is("json")) throw new BridgeError("invalid-request");
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of ctx.req as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maximumBodyLength) throw new BridgeError("invalid-request");
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8")) as unknown;
  } catch {
    throw new BridgeError("invalid-request");
  }
}

import type { Handler } from "../app.js";

/** What a library hangs its session on: Koa's context or Express's request. */
export interface Carrier {
  readonly query: Record<string, unknown>;
  session?: any;
  [member: string]: any;
}

/** What an application says to a library to get at its session. */
export interface SessionApi {
  /** The session to read and change; undefined or null when it has been removed. */
  readonly read: (on: Carrier) => unknown;
  /** The session has these members and no others. */
  readonly replace: (on: Carrier, data: object) => unknown;
  readonly remove: (on: Carrier) => unknown;
  /** Another id, as at a login; absent where the library cannot. */
  readonly regenerate?: (on: Carrier) => unknown;
}

type Action = (on: Carrier) => Promise<void>;

/** The data as the application sees it, without what the library shows beside it. */
export function dataOf(session: unknown): Record<string, unknown> {
  const { cookie: _, ...data } = JSON.parse(JSON.stringify(session ?? {})) as Record<
    string,
    unknown
  >;
  return data;
}

/** What the applications of the systems' tests do, by path; the same as those of koa-session's. */
export function actionsOf(api: SessionApi): Record<string, Action> {
  const live = async (on: Carrier) => (await api.read(on)) as Record<string, unknown>;
  return {
    "/untouched": async () => undefined,
    "/whoami": async (on) => void (await live(on)),
    "/login": async (on) => {
      await api.replace(on, { userId: on.query["user"] ?? "user-1" });
    },
    "/count": async (on) => {
      const session = await live(on);
      session["count"] = Number(session["count"] ?? 0) + 1;
    },
    "/set": async (on) => {
      const session = await live(on);
      for (const [name, value] of Object.entries(on.query)) session[name] = value;
    },
    "/logout": async (on) => {
      await api.remove(on);
    },
    "/regenerate": async (on) => {
      await api.regenerate?.(on);
    },
  };
}

/** Everything is served below this path as well, for cookies that are sent there alone. */
export const appPath = "/app";

/** The actions as handlers of a Koa application, which answer with the session after it. */
export function handlersOf(api: SessionApi): Record<string, Handler> {
  return Object.fromEntries(
    Object.entries(actionsOf(api)).flatMap(([path, act]): [string, Handler][] => {
      const handler: Handler = async (ctx) => {
        const on = ctx as unknown as Carrier;
        await act(on);
        ctx.body = path === "/untouched" ? "untouched" : { session: dataOf(await api.read(on)) };
      };
      return [path, `${appPath}${path}`].map((at) => [at, handler]);
    }),
  );
}

/** koa-session's own words, which are those of the bridge's token sessions as well. */
export const koaSessionApi: SessionApi = {
  read: (on) => on.session as unknown,
  replace: (on, data) => (on.session = data),
  remove: (on) => (on.session = null),
  regenerate: (on) => on.session.regenerate() as Promise<void>,
};

/** For a version that has no such thing. */
export function withoutRegenerate({ regenerate: _, ...api }: SessionApi): SessionApi {
  return api;
}

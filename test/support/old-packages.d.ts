// Of the old session packages, which bring no types of their own, what the tests call.

declare module "koa-session-minimal" {
  import type { Middleware } from "koa";
  export default function session(options?: object): Middleware;
}

declare module "koa-generic-session" {
  import type { Middleware } from "koa";
  export default function session(options?: object): Middleware;
}

declare module "express-session" {
  import type { RequestHandler } from "express";
  function session(options: object): RequestHandler;
  namespace session {
    class Store {
      get(id: string, callback: (error?: unknown, session?: unknown) => void): void;
      set(id: string, session: object, callback?: (error?: unknown) => void): void;
      destroy(id: string, callback?: (error?: unknown) => void): void;
    }
  }
  export default session;
}

declare module "connect-pg-simple" {
  import type session from "express-session";
  export default function connectPgSimple(
    of: typeof session,
  ): new (options: object) => session.Store;
}

declare module "cookie-session" {
  import type { RequestHandler } from "express";
  export default function cookieSession(options: object): RequestHandler;
}

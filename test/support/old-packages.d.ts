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

declare module "koa-redis" {
  import type { EventEmitter } from "node:events";
  /** The client that it makes, an ioredis. */
  interface Client {
    connect(): Promise<void>;
    disconnect(): void;
    keys(pattern: string): Promise<string[]>;
    get(key: string): Promise<string | null>;
    /** In milliseconds; -1 for a key that does not expire. */
    pttl(key: string): Promise<number>;
  }
  export interface RedisStore extends EventEmitter {
    readonly client: Client;
    /** "ready", "reconnecting", "end", … */
    readonly status: string;
    get(key: string): Promise<unknown>;
    set(key: string, value: unknown, ttlInMilliseconds?: unknown): Promise<void>;
    destroy(key: string): Promise<void>;
  }
  export default function redisStore(options: object): RedisStore;
}

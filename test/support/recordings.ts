import { readdirSync, readFileSync } from "node:fs";
import type { Handler } from "./app.js";
import { MapStore } from "./app.js";
import { type KoaSession, koaSessionOf, type KoaSessionVersion } from "./versions.js";

/** Sessions of a published koa-session as its cookies and store held them, and its answers to probes. */
export interface Recording {
  readonly name: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly signed: boolean;
  readonly keys: string[];
  readonly cookieName: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly sessions: Readonly<Record<string, { cookieHeader: string; expected: object }>>;
  readonly store: { entries: Readonly<Record<string, { value: unknown }>> } | null;
  readonly probes: Readonly<Record<string, Probe>>;
}

export interface Probe {
  readonly note: string;
  readonly request: { method: string; url: string; cookie: string | null };
  readonly response: { status: number; body: any };
}

const folder = new URL("../fixtures/", import.meta.url);

export const recordings = readdirSync(folder)
  .filter((file) => file.startsWith("koa-session-") && !file.includes("minimal"))
  .map((file) => JSON.parse(readFileSync(new URL(file, folder), "utf8")) as Recording);

/** The major version of koa-session that a recording was made with. */
export function sessionOf({ versions }: Recording): KoaSession {
  return koaSessionOf(versions["koa-session"]!.slice(0, 1) as KoaSessionVersion);
}

// What the probes say that the store gives.
const probedValues: Record<string, unknown> = {
  "k-string": "a string",
  "k-number": 42,
  "k-array": [1],
  "k-expired": { userId: "x", _expire: 1_000, _maxAge: 1_000 },
  "k-noexpire": { userId: "x" },
  "k-cookieexpired": {
    userId: "x",
    cookie: { expires: "2001-01-01T00:00:00.000Z", originalMaxAge: 1 },
  },
};

/** The store of a recording; it rejects while `fails` is set. */
export class RecordedStore extends MapStore {
  fails = false;

  constructor({ store }: Recording) {
    super();
    for (const [key, { value }] of Object.entries(store?.entries ?? {})) {
      this.entries.set(key, value);
    }
    for (const [key, value] of Object.entries(probedValues)) this.entries.set(key, value);
  }

  override async get(key: string): Promise<unknown> {
    if (this.fails) throw new Error("the store is away");
    return super.get(key);
  }
}

/** The configuration of koa-session that a recording was made with. */
export function configOf(recording: Recording, store: MapStore): object {
  const { store: hasStore, ...options } = recording.options;
  return hasStore === true ? { ...options, store } : options;
}

/** The handlers of the recorded application. */
export const recordedHandlers: Record<string, Handler> = {
  "/whoami": (ctx) => {
    ctx.body = { isNew: ctx.session.isNew as unknown, session: ctx.session as unknown };
  },
  "/count": (ctx) => {
    ctx.session.count = ((ctx.session.count as number | undefined) ?? 0) + 1;
    ctx.body = { count: ctx.session.count as number };
  },
};

import { readdirSync, readFileSync } from "node:fs";
import { MapStore } from "./app.js";
import type { Browser } from "./client.js";

/** Sessions of a published package as its cookies and store held them, and its answers to probes. */
export interface Recording {
  readonly name: string;
  readonly kind:
    | "koa-session"
    | "koa-session-minimal"
    | "koa-generic-session"
    | "compas-legacy"
    | "express-session"
    | "cookie-session";
  readonly versions: Readonly<Record<string, string>>;
  /** Where the data is: in an old store, or in the cookie. */
  readonly storage: "external" | "cookie";
  readonly signed: boolean;
  readonly keys: string[];
  readonly cookieName: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly sessions: Readonly<Record<string, RecordedSession>>;
  readonly store: {
    readonly kind: "map" | "postgres";
    readonly entries: Readonly<Record<string, StoredEntry>>;
  } | null;
  readonly probes: Readonly<Record<string, Probe>>;
}

export interface RecordedSession {
  readonly cookieHeader: string;
  readonly expected: object;
  readonly storeKey?: string;
}

export interface StoredEntry {
  readonly value: unknown;
  /** Of a row in PostgreSQL. */
  readonly expire?: string;
  readonly expires?: string;
}

export interface Probe {
  readonly note: string;
  readonly request: { method: string; url: string; cookie: string | null };
  readonly response: { status: number; body: any };
}

const folder = new URL("../fixtures/", import.meta.url);

export const recordings = readdirSync(folder).map(
  (file) => JSON.parse(readFileSync(new URL(file, folder), "utf8")) as Recording,
);

// What the probes say that the store gives.
const probedValues: Record<string, unknown> = {
  "k-string": "a string",
  "k-number": 5,
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
    // The rows of a table are put there by themselves.
    const entries = store?.kind === "map" ? store.entries : {};
    for (const [key, { value }] of Object.entries(entries)) {
      this.entries.set(key, value);
    }
    for (const [key, value] of Object.entries(probedValues)) {
      // koa-session has no prefix; the others have this one.
      for (const prefix of ["", "koa:sess:"]) this.entries.set(`${prefix}${key}`, value);
    }
  }

  override async get(key: string): Promise<unknown> {
    if (this.fails) throw new Error("the store is away");
    return super.get(key);
  }
}

/** Gives a browser the cookies of a recorded request. */
export function takeCookies(browser: Browser, header: string | null): Browser {
  for (const pair of header?.split("; ") ?? []) {
    const name = pair.slice(0, pair.indexOf("="));
    browser.cookies.set(name, pair.slice(name.length + 1));
  }
  return browser;
}

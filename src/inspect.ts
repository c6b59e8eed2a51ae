import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import type Koa from "koa";
import { presentedSources } from "./credential.js";
import { withDeadline } from "./deadline.js";
import type { InstalledSource, LegacyPath } from "./legacy/legacy-path.js";
import type { OldStore } from "./legacy/source.js";
import type { About, AboutSource } from "./monitor/about.js";
import type { Pool } from "./store/database.js";

/** What became of a legacy cookie, if a request brought it now. */
export interface InspectedCookie {
  readonly source: string;
  /** The names of its cookies. */
  readonly cookieNames: readonly string[];
  /**
   * `unverified`: its signature is missing or wrong, or it cannot be decoded; `unknown` to the old store, or
   * expired; `ended` by a logout; `retired`: its client uses tokens, and has for longer than it lingers.
   */
  readonly answer: "accepted" | "not presented" | "unverified" | "unknown" | "ended" | "retired";
  /** The session has been upgraded. */
  readonly isLinked: boolean;
  /** Its client uses tokens. */
  readonly isAdopted: boolean;
  readonly expiresAt: Date | null;
}

/** How the application is set up, where that matters for its sessions; nothing in it is secret. */
export interface BridgeSettings {
  readonly hasKeys: boolean;
  /** `app.proxy` */
  readonly isBehindProxy: boolean;
  /** Of the pool, in milliseconds; null where it is not set or cannot be told. */
  readonly connectionTimeoutMs: number | null;
  readonly queryTimeoutMs: number | null;
  /** Old systems whose cookie is for HTTPS only. */
  readonly secureSources: readonly string[];
  readonly sources: readonly AboutSource[];
}

/** An old store that was asked for a session that it does not have. */
export interface ProbedStore {
  readonly source: string;
  /** Why it gave none; undefined where it answered. */
  readonly error: unknown;
}

/** Tells what an operator asks about the application; changes and counts nothing. */
export interface Inspector {
  settings(): BridgeSettings;
  cookie(header: string): Promise<InspectedCookie[]>;
  /** One read of each old store. */
  oldStores(): Promise<ProbedStore[]>;
}

export function createInspector(
  app: Koa,
  pool: Pool,
  sources: readonly InstalledSource[],
  legacy: LegacyPath,
  about: () => About,
): Inspector {
  return {
    settings() {
      const options = (pool.options ?? {}) as Record<string, unknown>;
      const milliseconds = (name: string) => {
        const value = Number(options[name]);
        return value > 0 ? value : null;
      };
      return {
        hasKeys: Boolean(Array.isArray(app.keys) ? app.keys.length : app.keys),
        isBehindProxy: app.proxy,
        connectionTimeoutMs: milliseconds("connectionTimeoutMillis"),
        queryTimeoutMs: milliseconds("query_timeout") ?? milliseconds("statement_timeout"),
        secureSources: sources.filter(({ isSecure }) => isSecure === true).map(({ name }) => name),
        sources: about().sources,
      };
    },

    oldStores: () =>
      Promise.all(
        sources.flatMap(({ name, oldStore }) =>
          oldStore === undefined ? [] : [probe(name, oldStore)],
        ),
      ),

    async cookie(header) {
      const request = new IncomingMessage(new Socket());
      request.headers = { cookie: header, host: "localhost" };
      const ctx = app.createContext(request, new ServerResponse(request));
      const presented = presentedSources(ctx, sources);
      return Promise.all(sources.map((source) => inspect(source)));

      async function inspect(source: InstalledSource): Promise<InspectedCookie> {
        const { name, cookieNames } = source;
        const nothing = { isLinked: false, isAdopted: false, expiresAt: null };
        const told = { source: name, cookieNames, ...nothing };
        if (!presented.includes(source)) return { ...told, answer: "not presented" };
        // In observe a token store that is away would be hidden.
        const found = await legacy.authenticate(ctx, "bridge", source);
        const session = found.request.credential;
        if (session === undefined) return { ...told, answer: "unverified" };
        const { hasEnded, isRetired } = session;
        const opens = !hasEnded && !isRetired && (await legacy.opens(found));
        const answer = hasEnded ? "ended" : isRetired ? "retired" : opens ? "accepted" : "unknown";
        const { isAdopted, endsAt, sessionId } = session;
        return { ...told, answer, isLinked: sessionId !== undefined, isAdopted, expiresAt: endsAt };
      }
    },
  };
}

const probeDeadlineInMilliseconds = 10_000;

async function probe(source: string, store: OldStore): Promise<ProbedStore> {
  try {
    const asked = (async () => store.get(crypto.randomUUID(), undefined))();
    await withDeadline(asked, probeDeadlineInMilliseconds);
    return { source, error: undefined };
  } catch (error) {
    return { source, error };
  }
}

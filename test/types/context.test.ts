import { describe, expect, test } from "vitest";
import { typeCheck } from "../support/type-check.js";

// Each program is one that a user writes; where it must not compile, it says so itself.
const prelude = `
import Koa from "koa";
import type { Context, DefaultState } from "koa";
import session from "koa-session";
import pg from "pg";
import { koaSession, sessionBridge, type Session, type SessionContext } from "koa-session-bridge";
import { createSessionStore, tokenSession } from "koa-session-bridge/tokens";

const pool = new pg.Pool();
const signingKeys = [{ kid: "a", alg: "HS256" as const, key: "a".repeat(32) }];
const options = { legacy: koaSession(session, {}), pool, tokens: { signingKeys } };
`;

/** What @types/koa-session does to every context. */
const augmentation = `
import "koa";
interface OldSession {
  isNew: boolean;
  maxAge: number | "session";
  populated: boolean;
  save(): void;
  manuallyCommit(): Promise<void>;
  regenerate(callback?: () => void): Promise<void>;
  [key: string]: any;
}
declare module "koa" {
  interface BaseContext {
    session: OldSession | null;
    readonly sessionOptions: object | undefined;
  }
}
`;

const apps: Record<string, string> = {
  "an app that is typed with the session": `
    const app = new Koa<DefaultState, SessionContext>();
    const bridge = sessionBridge(options, app);
    app.use(bridge);
    app.use(bridge.routes());
    app.use(tokenSession({ pool, signingKeys }));
    app.use(async (ctx) => {
      ctx.session = { user: "ada" };
      const own: Session | null = ctx.session;
      const count: number = own?.["count"] ?? 0;
      const { isNew, length, populated, externalKey }: Session = ctx.session!;
      const told: [boolean, number, boolean, string | undefined] = [isNew, length, populated, externalKey];
      own!.maxAge = 1000;
      const maxAge: number = own!.maxAge;
      await own?.save();
      await own?.regenerate((error) => void error);
      await own?.manuallyCommit();
      ctx.session = null;
      const pair = await bridge.issueTokens(ctx);
      ctx.body = [count, told, maxAge, pair.accessToken, pair.refreshTokenExpiresAt.getTime()];
      // @ts-expect-error a session is an object or null
      ctx.session = "ada";
      // @ts-expect-error how many members there are is not for setting
      own!.length = 1;
    });`,
  "an app whose context has more than the session": `
    interface User { name: string }
    const app = new Koa<{ user?: User }, SessionContext & { requestId: string }>();
    app.use(sessionBridge(options, app));
    app.use((ctx) => {
      ctx.state.user = { name: String(ctx.session?.["user"]) };
      ctx.body = ctx.requestId.length;
    });`,
  "an app that is typed by nobody": `
    const app = new Koa();
    const bridge = sessionBridge(options, app);
    app.use(bridge);
    app.use(bridge.routes({ prefix: "/auth" }));
    app.use((ctx) => {
      ctx.body = ctx["session"];
    });`,
  "a handler by itself": `
    async function handler(ctx: Context & SessionContext): Promise<void> {
      ctx.body = ctx.session?.toJSON();
    }
    new Koa<DefaultState, SessionContext>().use(handler);`,
  "events, status and the store": `
    const bridge = sessionBridge(options, new Koa());
    bridge.on("legacy-hit", ({ source, labels }) => void [source.length, labels["version"]]);
    bridge.on("session:leaked", ({ sessionId }) => void sessionId.length);
    bridge.on("error", (error) => void error.message);
    // @ts-expect-error there is no such event
    bridge.on("leaked", () => undefined);
    void bridge.status().then(({ legacyCookies, mode }) => [legacyCookies["a"]?.hit, mode]);
    const store = createSessionStore({ pool, signingKeys });
    void store.get("token").then((found) => found && store.update({ ...found, data: {} }));
    void store.refreshTokens("token").then((pair) => pair?.accessTokenExpiresAt.getTime());
    // @ts-expect-error data is an object
    void store.create("data");`,
  "the options of Express's packages": `
    import { compasLegacyStore, cookieSession, expressSession } from "koa-session-bridge";
    interface ExpressOptions {
      secret: string | Buffer | (string | Buffer)[];
      store?: object;
      name?: string;
      cookie?: { maxAge?: number; secure?: boolean | "auto" } | ((request: object) => object);
      resave?: boolean;
      saveUninitialized?: boolean;
      genid?(request: object): string;
    }
    interface CookieOptions {
      name?: string;
      keys?: string[] | { verify(data: string, digest: string): boolean };
      secret?: string;
      maxAge?: number;
      httpOnly?: boolean;
      overwrite?: boolean;
    }
    const express: ExpressOptions = { secret: Buffer.from("a"), store: {} };
    const cookie: CookieOptions = { keys: ["a"] };
    const legacy = [
      expressSession(express),
      expressSession({ ...express, isInSameDatabase: true }),
      expressSession({ secret: ["a", Buffer.from("b")], store: {}, resave: false, saveUninitialized: false }),
      expressSession({ secret: "a", store: {}, cookie: { httpOnly: true, maxAge: 1 }, unset: "destroy" }),
      cookieSession(cookie),
      cookieSession({ keys: ["a"], httpOnly: true, overwrite: false, sameSite: "lax" }),
    ];
    sessionBridge({ ...options, legacy }, new Koa());
    const store: { get(id: string): Promise<boolean | object> } = compasLegacyStore(pool);
    void store.get("id");
    // @ts-expect-error a name is text
    expressSession({ secret: "a", store: {}, name: 1 });
    // @ts-expect-error a domain is text
    cookieSession({ keys: ["a"], domain: 1 });`,
  "exporters and flags": `
    import { metrics } from "@opentelemetry/api";
    import { OpenFeature } from "@openfeature/server-sdk";
    import { Registry } from "prom-client";
    import { type OpenFeatureClient, openFeatureMode } from "koa-session-bridge";
    import { openTelemetryMetrics } from "koa-session-bridge/opentelemetry";
    import { prometheusMetrics } from "koa-session-bridge/prometheus";
    const client = OpenFeature.getClient();
    const mode = openFeatureMode(client, {
      flag: "cookies",
      context: (ctx) => ({ targetingKey: ctx.ip, country: ctx.get("X-Country") }),
    });
    const bridge = sessionBridge({ ...options, mode }, new Koa());
    sessionBridge({ ...options, mode: openFeatureMode(client) }, new Koa());
    prometheusMetrics(bridge);
    prometheusMetrics(bridge, { register: new Registry(), labels: ["client"] });
    openTelemetryMetrics(bridge);
    openTelemetryMetrics(bridge, { meterProvider: metrics.getMeterProvider() });
    void bridge.flag().then(({ mode, brownoutShare }) => mode === "drain" && brownoutShare > 0);
    const sources: readonly string[] = bridge.sources;
    const other: OpenFeatureClient<{ user: string }> = {
      getStringDetails: async (flag, fallback, context) => ({ value: context?.user ?? fallback }),
    };
    openFeatureMode(other, { context: () => ({ user: "ada" }) });
    // @ts-expect-error no such context
    openFeatureMode(other, { context: () => ({ name: "ada" }) });
    // @ts-expect-error a context of OpenFeature has no functions in it
    openFeatureMode(client, { context: () => ({ user: () => "ada" }) });
    // @ts-expect-error names, not a function
    prometheusMetrics(bridge, { labels: () => ({}) });
    // @ts-expect-error a provider, not a meter
    openTelemetryMetrics(bridge, { meterProvider: metrics.getMeter("a") });`,
  "options that are wrong": `
    const app = new Koa();
    // @ts-expect-error unknown option
    sessionBridge({ ...options, unknown: 1 }, app);
    // @ts-expect-error no pool
    sessionBridge({ legacy: options.legacy, tokens: options.tokens }, app);
    // @ts-expect-error no such mode
    sessionBridge({ ...options, mode: "off" }, app);
    // @ts-expect-error no such algorithm
    tokenSession({ pool, signingKeys: [{ kid: "a", alg: "RS256", key: "" }] });
    sessionBridge({ ...options, mode: async (ctx) => (ctx.get("X") ? "drain" : "bridge") }, app);
    sessionBridge({ ...options, transport: (ctx, pair) => ctx.set("X", pair.accessToken) }, app);
    koaSession(session, { key: "a", signed: false, maxAge: "session" });`,
};

function programs(change: (text: string) => string = (text) => text): Record<string, string> {
  const modules = Object.entries(apps).map(([name, text]) => [
    `${name.replaceAll(" ", "-")}.ts`,
    `${prelude}${change(text)}\n`,
  ]);
  return Object.fromEntries(modules) as Record<string, string>;
}

describe("every kind of app compiles", () => {
  test("without @types/koa-session", async () => {
    expect(await typeCheck(programs())).toBe("");
  });

  test("with @types/koa-session, which lets nobody set a plain object", async () => {
    const modules = programs((text) =>
      text.replace('ctx.session = { user: "ada" };', 'ctx.session!["user"] = "ada";'),
    );
    expect(await typeCheck({ ...modules, "augmentation.d.ts": augmentation })).toBe("");
  });
});

test("the compiler is really asked", async () => {
  const wrong = `${prelude} sessionBridge(options, new Koa()).status().then(({ mode }) => mode.foo);`;
  expect(await typeCheck({ "wrong.ts": wrong })).toContain("Property 'foo' does not exist");
});

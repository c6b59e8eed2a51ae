import { generateKeyPairSync } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { SessionBridgeOptions } from "../../src/index.js";
import { createSessionStore } from "../../src/tokens/index.js";
import { bearer, type RunningApp, signingKeys, startBridgedApp } from "../support/app.js";
import { TestClock } from "../support/clock.js";
import { type Cluster, startWorkers } from "../support/cluster.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import {
  lifetimeOf,
  login,
  pairInBody,
  refresh,
  sessionIdOf,
  tokenIdOf,
  whoami,
} from "../support/tokens.js";

const graceInSeconds = 15;
let database: TestDatabase;

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.drop());

async function rowsOf(sessionId: string) {
  const { rows } = await database.pool.query(
    `select t."id", t."revokedAt" as "tokenRevokedAt", s."revokedAt"
    from "sessionStoreToken" t join "sessionStore" s on s."id" = t."session" where s."id" = $1`,
    [sessionId],
  );
  return rows as { id: string; tokenRevokedAt: Date | null; revokedAt: Date | null }[];
}

describe("in several processes at once", () => {
  let cluster: Cluster;

  beforeAll(async () => {
    const worker = new URL("../support/worker-app.ts", import.meta.url);
    cluster = await startWorkers(4, worker, { DATABASE_URL: database.url });
  });
  afterAll(() => cluster.close());

  test("50 refreshes of one token in 4 processes give one pair, 20 times", async () => {
    const store = createSessionStore({ pool: database.pool, signingKeys });
    for (let round = 0; round < 20; round += 1) {
      const first = await store.create({ round });
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          refresh(cluster.baseUrls[index % 4]!, first.refreshToken),
        ),
      );
      const pairs = new Set(answers.map((answer) => JSON.stringify(pairInBody(answer))));
      expect(pairs.size).toBe(1);
      expect(await rowsOf(first.sessionId)).toHaveLength(4);
      const next = pairInBody(answers[0]!);
      expect(next.accessToken).not.toBe(first.accessToken);
      const who = await whoami(cluster.baseUrls[round % 4]!, next);
      expect(who.body.session).toEqual({ round });
    }
  });

  test("a replay after the grace in one process ends the session in all of them", async () => {
    const store = createSessionStore({ pool: database.pool, signingKeys });
    const first = await store.create({ user: "replayed" });
    const next = pairInBody(await refresh(cluster.baseUrls[0]!, first.refreshToken));
    const later = createSessionStore({
      pool: database.pool,
      signingKeys,
      clock: () => new Date(Date.now() + (graceInSeconds + 1) * 1000),
    });
    expect(await later.refreshTokens(first.refreshToken)).toBeUndefined();
    for (const baseUrl of cluster.baseUrls) {
      expect((await whoami(baseUrl, next)).status).toBe(401);
      expect((await refresh(baseUrl, next.refreshToken)).status).toBe(401);
    }
  });
});

describe("the grace period", () => {
  let clock: TestClock;
  let app: RunningApp;
  let leaked: string[];

  beforeEach(async () => {
    clock = new TestClock();
    app = await startBridgedApp(database.pool, { clock: clock.now });
    leaked = [];
    app.bridge.on("session:leaked", ({ sessionId }) => leaked.push(sessionId));
  });
  afterEach(() => app.close());

  test("within it, the immediate predecessor is answered with the same pair again", async () => {
    const { pair } = await login(app);
    const successor = pairInBody(await refresh(app.url, pair.refreshToken));
    clock.advance(graceInSeconds - 1);
    expect(pairInBody(await refresh(app.url, pair.refreshToken))).toEqual(successor);
    expect(leaked).toEqual([]);
    expect((await whoami(app.url, successor)).body.session).toEqual({ userId: "user-1" });
  });

  test("after it, reuse ends the session: tokens, cookie, and an event tells it", async () => {
    const { browser, pair } = await login(app);
    const successor = pairInBody(await refresh(app.url, pair.refreshToken));
    const sessionId = sessionIdOf(pair.accessToken);
    clock.advance(graceInSeconds);
    const replay = await refresh(app.url, pair.refreshToken);
    expect(replay.status).toBe(401);
    expect(replay.body.code).toBe("invalid-token");
    expect(leaked).toEqual([sessionId]);
    for (const { accessToken, refreshToken } of [pair, successor]) {
      expect((await app.browser().get("/whoami", bearer(accessToken))).status).toBe(401);
      expect((await refresh(app.url, refreshToken)).status).toBe(401);
    }
    const byCookie = await browser.get("/whoami");
    expect(byCookie.status).toBe(200);
    expect(byCookie.body).toEqual({ session: {}, isNew: true });
    for (const row of await rowsOf(sessionId)) {
      expect(row.revokedAt).not.toBeNull();
      expect(row.tokenRevokedAt).not.toBeNull();
    }
    expect(app.counts().leaked).toBe(1);
  });

  test("it is counted from the first rotation, however often the client asks again", async () => {
    const { pair } = await login(app);
    const successor = pairInBody(await refresh(app.url, pair.refreshToken));
    for (let asked = 0; asked < 4; asked += 1) {
      clock.advance(3);
      expect(pairInBody(await refresh(app.url, pair.refreshToken))).toEqual(successor);
    }
    clock.advance(3);
    expect((await refresh(app.url, pair.refreshToken)).status).toBe(401);
    expect(leaked).toHaveLength(1);
  });

  test("a token older than the immediate predecessor is reuse, even within it", async () => {
    const { pair } = await login(app);
    const second = pairInBody(await refresh(app.url, pair.refreshToken));
    const third = pairInBody(await refresh(app.url, second.refreshToken));
    expect((await refresh(app.url, pair.refreshToken)).status).toBe(401);
    expect(leaked).toEqual([sessionIdOf(pair.accessToken)]);
    expect((await whoami(app.url, third)).status).toBe(401);
    expect((await refresh(app.url, third.refreshToken)).status).toBe(401);
  });

  test("a predecessor gets nothing once the session was logged out", async () => {
    const { browser, pair } = await login(app);
    await refresh(app.url, pair.refreshToken);
    await browser.get("/logout");
    expect((await refresh(app.url, pair.refreshToken)).status).toBe(401);
    expect(leaked).toEqual([]);
  });

  test("the access token of before the refresh stays valid until it expires", async () => {
    const { pair } = await login(app);
    await refresh(app.url, pair.refreshToken);
    expect((await whoami(app.url, pair)).status).toBe(200);
    clock.advance(900);
    expect((await whoami(app.url, pair)).status).toBe(401);
  });

  test("an expired refresh token is refused, and is no reuse", async () => {
    const { pair } = await login(app);
    clock.advance(30 * 24 * 60 * 60);
    expect((await refresh(app.url, pair.refreshToken)).status).toBe(401);
    expect(leaked).toEqual([]);
  });
});

describe("keys and lifetimes", () => {
  const es256 = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const edDsa = generateKeyPairSync("ed25519").privateKey;
  const apps: RunningApp[] = [];

  async function start(options: Parameters<typeof startBridgedApp>[1]): Promise<RunningApp> {
    const app = await startBridgedApp(database.pool, options);
    apps.push(app);
    return app;
  }
  afterEach(async () => {
    await Promise.all(apps.splice(0).map((app) => app.close()));
  });

  test("with EdDSA, which signs the same every time, the pair is the same strings", async () => {
    const app = await start({
      tokens: { signingKeys: [{ kid: "ed", alg: "EdDSA", key: edDsa }] },
    });
    const { pair } = await login(app);
    const answers = await Promise.all([1, 2, 3].map(() => refresh(app.url, pair.refreshToken)));
    const pairs = answers.map(pairInBody);
    expect(pairs[1]).toEqual(pairs[0]);
    expect(pairs[2]).toEqual(pairs[0]);
    expect((await whoami(app.url, pairs[0]!)).status).toBe(200);
  });

  test("with ES256, whose signatures differ, the pair is the same two tokens", async () => {
    const app = await start({
      tokens: { signingKeys: [{ kid: "es", alg: "ES256", key: es256 }] },
    });
    const { pair } = await login(app);
    const answers = await Promise.all([1, 2, 3].map(() => refresh(app.url, pair.refreshToken)));
    const pairs = answers.map(pairInBody);
    expect(new Set(pairs.map(({ accessToken }) => tokenIdOf(accessToken))).size).toBe(1);
    expect(new Set(pairs.map(({ refreshToken }) => tokenIdOf(refreshToken))).size).toBe(1);
    for (const each of pairs) expect((await whoami(app.url, each)).status).toBe(200);
    expect(await rowsOf(sessionIdOf(pair.accessToken))).toHaveLength(4);
  });

  test("a new key signs from its first refresh on, and old tokens live while their key is kept", async () => {
    const [old] = signingKeys;
    const fresh = { kid: "fresh", alg: "EdDSA", key: edDsa } as const;
    const { pair } = await login(await start({}));
    const rotated = await start({ tokens: { signingKeys: [fresh, old!] } });
    expect((await whoami(rotated.url, pair)).status).toBe(200);
    const successor = pairInBody(await refresh(rotated.url, pair.refreshToken));
    expect(kidOf(successor.accessToken)).toBe("fresh");
    const dropped = await start({ tokens: { signingKeys: [fresh] } });
    expect((await whoami(dropped.url, successor)).status).toBe(200);
    expect((await whoami(dropped.url, pair)).status).toBe(401);
    expect((await refresh(dropped.url, pair.refreshToken)).status).toBe(401);
  });

  test("tokenMaxAgeResolver is asked with the session at each refresh", async () => {
    const tokenMaxAgeResolver: SessionBridgeOptions["tokens"]["tokenMaxAgeResolver"] = ({
      data,
    }) =>
      data["role"] === "admin"
        ? { accessTokenMaxAgeInSeconds: 60, refreshTokenMaxAgeInSeconds: 600 }
        : {};
    const app = await start({ tokens: { signingKeys, tokenMaxAgeResolver } });
    const { browser, pair } = await login(app);
    expect(lifetimeOf(pair.accessToken)).toBe(900);
    await browser.get("/set?role=admin");
    const successor = pairInBody(await refresh(app.url, pair.refreshToken));
    expect(lifetimeOf(successor.accessToken)).toBe(60);
    expect(lifetimeOf(successor.refreshToken)).toBe(600);
  });

  test("and with the session as it has been committed, when a request by token asks for a further pair", async () => {
    const app = await start({
      handlers: {
        "/promote": async (ctx) => {
          ctx.session.role = "admin";
          ctx.body = await app.bridge.issueTokens(ctx);
        },
      },
      tokens: {
        signingKeys,
        tokenMaxAgeResolver: ({ data }) =>
          data["role"] === "admin" ? { accessTokenMaxAgeInSeconds: 60 } : {},
      },
    });
    const { pair } = await login(app);
    const further = await app.browser().get("/promote", bearer(pair.accessToken));
    expect(lifetimeOf(further.body.accessToken)).toBe(60);
  });

  test("no access token outlives its refresh token", async () => {
    const app = await start({
      tokens: { signingKeys, tokenMaxAgeResolver: () => ({ refreshTokenMaxAgeInSeconds: 60 }) },
    });
    const { pair } = await login(app);
    expect(lifetimeOf(pair.accessToken)).toBe(60);
    const successor = pairInBody(await refresh(app.url, pair.refreshToken));
    expect(lifetimeOf(successor.refreshToken)).toBe(60);
    expect(lifetimeOf(successor.accessToken)).toBe(60);
  });

  test("ctx.session.maxAge decides how long the tokens of a refresh live", async () => {
    const app = await start({
      handlers: {
        "/short": (ctx) => {
          ctx.session.maxAge = 120_000;
        },
      },
    });
    const { pair } = await login(app);
    await app.browser().get("/short", bearer(pair.accessToken));
    const successor = pairInBody(await refresh(app.url, pair.refreshToken));
    expect(lifetimeOf(successor.refreshToken)).toBe(120);
    expect(lifetimeOf(successor.accessToken)).toBe(120);
    const next = pairInBody(await refresh(app.url, successor.refreshToken));
    expect(lifetimeOf(next.refreshToken)).toBe(120);
  });
});

function kidOf(token: string): unknown {
  return JSON.parse(Buffer.from(token.split(".")[0]!, "base64url").toString("utf8")).kid;
}

import { SignJWT, UnsecuredJWT } from "jose";
import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Mode, SessionBridgeOptions } from "../../src/index.js";
import { createSessionStore } from "../../src/tokens/index.js";
import { bearer, type RunningApp, signingKeys, startBridgedApp } from "../support/app.js";
import { TestClock } from "../support/clock.js";
import type { BrowserResponse } from "../support/client.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { login, sessionIdOf, tokenIdOf, type Tokens, whoami } from "../support/tokens.js";

const secret = new TextEncoder().encode(signingKeys[0]!.key as string);
const otherSecret = new TextEncoder().encode("another secret of more than 32 bytes");

let database: TestDatabase;
let clock: TestClock;
const apps: RunningApp[] = [];

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.drop());
beforeEach(() => {
  clock = new TestClock();
});
afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
});

async function start(options: Partial<SessionBridgeOptions> = {}): Promise<RunningApp> {
  const app = await startBridgedApp(database.pool, { clock: clock.now, ...options });
  apps.push(app);
  return app;
}

function expectRefused(response: BrowserResponse): void {
  expect(response.status).toBe(401);
  expect(response.headers["www-authenticate"]).toBe('Bearer error="invalid_token"');
  expect(response.headers["content-type"]).toBe("application/problem+json");
  expect(response.headers["cache-control"]).toBe("no-store");
  expect(response.body).toEqual({
    type: "about:blank",
    title: "The token is malformed, expired, revoked or unknown.",
    status: 401,
    code: "invalid-token",
  });
  expect(response.setCookie).toEqual([]);
}

/** An access token's claims under another header, key or signature. */
function forge(
  token: string,
  {
    header = {},
    claims = {},
    key = secret,
  }: { header?: object; claims?: object; key?: Uint8Array },
): Promise<string> {
  const now = Math.floor(clock.now().getTime() / 1000);
  return new SignJWT({ sid: sessionIdOf(token), jti: tokenIdOf(token)!, ...claims })
    .setProtectedHeader({ alg: "HS256", kid: "first", typ: "at+jwt", ...header })
    .setIssuedAt(now)
    .setExpirationTime(now + 900)
    .sign(key);
}

/** The same token with the first character of one of its three parts changed. */
function tamper(token: string, part: 0 | 1 | 2): string {
  const parts = token.split(".");
  const text = parts[part]!;
  parts[part] = (text.startsWith("A") ? "B" : "A") + text.slice(1);
  return parts.join(".");
}

/** The same token for another session, under the old signature. */
function reclaim(token: string): string {
  const [header, claims, signature] = token.split(".");
  const changed = JSON.parse(Buffer.from(claims!, "base64url").toString("utf8"));
  changed.sid = randomUUID();
  return [header, Buffer.from(JSON.stringify(changed)).toString("base64url"), signature].join(".");
}

const refused: Record<string, (pair: Tokens) => string | Promise<string>> = {
  "an empty token": () => "",
  "no token at all": () => "not-a-token",
  "three parts of nonsense": () => "a.b.c",
  "a token with another header": ({ accessToken }) => tamper(accessToken, 0),
  "a token with another payload": ({ accessToken }) => reclaim(accessToken),
  "a token with another signature": ({ accessToken }) => tamper(accessToken, 2),
  "a token without its signature": ({ accessToken }) =>
    accessToken.slice(0, accessToken.lastIndexOf(".") + 1),
  "two tokens": ({ accessToken }) => `${accessToken} ${accessToken}`,
  "the refresh token": ({ refreshToken }) => refreshToken,
  "the refresh token's id as an access token": ({ accessToken, refreshToken }) =>
    forge(accessToken, { claims: { jti: tokenIdOf(refreshToken) } }),
  "a token of algorithm none": ({ accessToken }) =>
    new UnsecuredJWT({ sid: sessionIdOf(accessToken), jti: tokenIdOf(accessToken)! })
      .setExpirationTime("15m")
      .encode(),
  "a token of algorithm none that names the key": ({ accessToken }) =>
    [
      Buffer.from(JSON.stringify({ alg: "none", kid: "first", typ: "at+jwt" })).toString(
        "base64url",
      ),
      accessToken.split(".")[1],
      "",
    ].join("."),
  "a token that another key signed": ({ accessToken }) => forge(accessToken, { key: otherSecret }),
  "a token of an unknown key": ({ accessToken }) =>
    forge(accessToken, { header: { kid: "unknown" } }),
  "a token without a key id": ({ accessToken }) =>
    forge(accessToken, { header: { kid: undefined } }),
  "a token of no type": ({ accessToken }) => forge(accessToken, { header: { typ: undefined } }),
  "a token of the plain type": ({ accessToken }) => forge(accessToken, { header: { typ: "JWT" } }),
  "a token of a row that is not there": ({ accessToken }) =>
    forge(accessToken, { claims: { jti: randomUUID() } }),
  "a token whose id is no UUID": ({ accessToken }) =>
    forge(accessToken, { claims: { jti: "' or true --" } }),
  "a token of many kilobytes": ({ accessToken }) =>
    forge(accessToken, { claims: { padding: "x".repeat(5_000) } }),
};

describe("beside a valid cookie, which is not fallen back to", () => {
  let app: RunningApp;
  let user: Awaited<ReturnType<typeof login>>;

  beforeEach(async () => {
    app = await start();
    user = await login(app);
  });

  for (const [what, make] of Object.entries(refused)) {
    test(`${what} is refused`, async () => {
      const token = await make(user.pair);
      expectRefused(await user.browser.get("/whoami", bearer(token)));
      expect(app.counts().tokensRefused).toBe(1);
    });
  }

  test("the scheme without a token is refused", async () => {
    const headers = { authorization: "Bearer" };
    expectRefused(await user.browser.get("/whoami", { headers }));
  });

  test("the forging of these tests makes valid tokens where it changes nothing", async () => {
    const token = await forge(user.pair.accessToken, {});
    expect((await app.browser().get("/whoami", bearer(token))).status).toBe(200);
  });

  test("an expired token is refused, to the second", async () => {
    clock.advance(899);
    expect((await whoami(app.url, user.pair)).status).toBe(200);
    clock.advance(1);
    expectRefused(await user.browser.get("/whoami", bearer(user.pair.accessToken)));
  });

  test("a revoked token is refused", async () => {
    const { accessToken } = user.pair;
    await user.browser.get("/logout");
    expectRefused(await user.browser.get("/whoami", bearer(accessToken)));
  });

  test("the handler is not reached", async () => {
    expectRefused(await user.browser.get("/logout", bearer("not-a-token")));
    expect((await user.browser.get("/whoami")).body.session).toEqual({ userId: "user-1" });
  });

  test("in every mode", async () => {
    for (const mode of ["observe", "bridge", "drain", "tokens"] satisfies Mode[]) {
      const other = await start({ mode });
      const browser = user.browser.clone({ baseUrl: other.url });
      expectRefused(await browser.get("/whoami", bearer("not-a-token")));
    }
  });

  test("the access token in place of the refresh token is refused", async () => {
    const response = await app
      .browser()
      .post("/session/refresh", { body: { refresh_token: user.pair.accessToken } });
    expectRefused(response);
    expect((await whoami(app.url, user.pair)).status).toBe(200);
  });
});

describe("issuer and audience", () => {
  const tokens = { signingKeys, issuer: "https://issuer.test", audience: "app" };

  test("are required where they are configured", async () => {
    const app = await start({ tokens });
    const { pair } = await login(app);
    expect((await whoami(app.url, pair)).status).toBe(200);
    const claims = { iss: tokens.issuer, aud: tokens.audience };
    const valid = await forge(pair.accessToken, { claims });
    expect((await app.browser().get("/whoami", bearer(valid))).status).toBe(200);
    for (const wrong of [{ iss: "https://other.test" }, { aud: "other" }, { iss: undefined }]) {
      const token = await forge(pair.accessToken, { claims: { ...claims, ...wrong } });
      expectRefused(await app.browser().get("/whoami", bearer(token)));
    }
  });
});

describe("what the user can configure", () => {
  const isForeignToken = (token: string) => token.startsWith("foreign-");

  test("a foreign token is no credential of ours: the cookie counts", async () => {
    const app = await start({ isForeignToken });
    const { browser } = await login(app);
    const response = await browser.get("/whoami", bearer("foreign-token"));
    expect(response.body.session).toEqual({ userId: "user-1" });
    expectRefused(await browser.get("/whoami", bearer("not-foreign")));
  });

  test("a foreign token without a cookie has no session", async () => {
    const app = await start({ isForeignToken, mode: "tokens" });
    const response = await app.browser().get("/whoami", bearer("foreign-token"));
    expect(response.body).toEqual({ session: {}, isNew: true });
  });

  test('onInvalidToken "anonymous" goes on without a session, never with the cookie', async () => {
    const app = await start({ onInvalidToken: "anonymous" });
    const { browser } = await login(app);
    const response = await browser.get("/whoami", bearer("not-a-token"));
    expect(response.status).toBe(200);
    expect(response.body).toEqual({ session: {}, isNew: true });
    expect(response.setCookie).toEqual([]);
    expect(app.counts().tokensRefused).toBe(1);
    expect((await browser.get("/whoami")).body.session).toEqual({ userId: "user-1" });
  });

  test("readAccessToken says where the token is", async () => {
    const app = await start({ readAccessToken: (ctx) => ctx.get("X-Token") || undefined });
    const { browser, pair } = await login(app);
    const headers = { "x-token": pair.accessToken };
    const response = await app.browser().get("/whoami", { headers });
    expect(response.body.session).toEqual({ userId: "user-1" });
    expectRefused(await browser.get("/whoami", { headers: { "x-token": "not-a-token" } }));
    expect((await browser.get("/whoami", bearer("not-a-token"))).status).toBe(200);
  });
});

test("the session store answers with undefined, which is no error", async () => {
  const store = createSessionStore({ pool: database.pool, signingKeys });
  const { accessToken, refreshToken } = await store.create({ userId: "user-1" });
  for (const token of ["", "not-a-token", refreshToken, tamper(accessToken, 2)]) {
    expect(await store.get(token)).toBeUndefined();
  }
  for (const token of ["", "not-a-token", accessToken, tamper(refreshToken, 2)]) {
    expect(await store.refreshTokens(token)).toBeUndefined();
  }
});

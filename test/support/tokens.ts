import { decodeJwt } from "jose";
import type { RunningApp } from "./app.js";
import { bearer, tokensOf } from "./app.js";
import { Browser, type BrowserResponse } from "./client.js";

/** The two strings of a pair, wherever they came from. */
export interface Tokens {
  readonly accessToken: string;
  readonly refreshToken: string;
}

/** The pair in a response's headers; fails when there is none. */
export function pairIn(response: BrowserResponse): Tokens {
  const { accessToken, refreshToken } = tokensOf(response);
  if (accessToken === undefined || refreshToken === undefined) {
    throw new Error(`no tokens in a response with status ${response.status}`);
  }
  return { accessToken, refreshToken };
}

/** The pair in an answer of the endpoints. */
export function pairInBody({ status, body }: BrowserResponse): Tokens {
  if (status !== 200) throw new Error(`no tokens in an answer with status ${status}`);
  return { accessToken: body.access_token, refreshToken: body.refresh_token };
}

/** `POST /session/refresh`, by a client that has nothing but the token. */
export function refresh(baseUrl: string, refreshToken: string): Promise<BrowserResponse> {
  return new Browser(baseUrl).post("/session/refresh", { body: { refresh_token: refreshToken } });
}

/** `GET /whoami` by the token alone. */
export function whoami(baseUrl: string, { accessToken }: Tokens): Promise<BrowserResponse> {
  return new Browser(baseUrl).get("/whoami", bearer(accessToken));
}

/** A user who logged in by the old middleware: a browser with a cookie, and the pair on offer. */
export async function login(
  app: Pick<RunningApp, "browser">,
  user = "user-1",
): Promise<{ browser: Browser; pair: Tokens }> {
  const browser = app.browser();
  const response = await browser.get(`/login?user=${user}`);
  return { browser, pair: pairIn(response) };
}

/** A token's row id. */
export const tokenIdOf = (token: string) => decodeJwt(token).jti;
/** A token's session. */
export const sessionIdOf = (token: string) => decodeJwt(token)["sid"] as string;

/** A token's lifetime in seconds. */
export function lifetimeOf(token: string): number {
  const { iat, exp } = decodeJwt(token);
  return Number(exp) - Number(iat);
}

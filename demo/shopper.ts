import { Browser, type BrowserRequest, type BrowserResponse } from "../test/support/client.js";
import { type Expected, type Narrator, short, type Tokens, tokensIn } from "./narrator.js";

/** Someone with a browser, whose requests the narrator tells. It keeps the tokens that it is given. */
export class Shopper {
  tokens: Tokens | undefined;
  readonly #cookies: Browser;
  readonly #noCookies: Browser;

  constructor(
    readonly name: string,
    private readonly url: string,
    private readonly narrator: Narrator,
    cookies: ReadonlyMap<string, string> = new Map(),
  ) {
    this.#cookies = new Browser(url);
    for (const [name, value] of cookies) this.#cookies.cookies.set(name, value);
    this.#noCookies = new Browser(url);
  }

  /** The cookies as they are now. */
  get cookies(): ReadonlyMap<string, string> {
    return new Map(this.#cookies.cookies);
  }

  get cookie(): string {
    return this.#cookies.cookies.get("koa.sess") ?? "";
  }

  /** A browser with these cookies and nothing else. */
  withCookies(cookies: ReadonlyMap<string, string>): Shopper {
    return new Shopper(this.name, this.url, this.narrator, cookies);
  }

  /** Somebody with the same tokens and no cookie. */
  withoutCookies(): Shopper {
    const other = new Shopper(this.name, this.url, this.narrator);
    other.tokens = this.tokens;
    return other;
  }

  /** Sends the cookies that the browser has. */
  byCookie(what: string, request: string, expected: Expected, options?: BrowserRequest) {
    const sent = this.cookie === "" ? "no cookie" : `cookie ${short(this.cookie)}`;
    return this.#send(this.#cookies, what, request, sent, expected, options);
  }

  /** Sends the access token and no cookie, as a mobile app does. */
  byToken(what: string, request: string, expected: Expected, token = this.tokens?.access ?? "") {
    return this.#send(this.#noCookies, what, request, `bearer ${short(token)}`, expected, {
      headers: { authorization: `Bearer ${token}` },
    });
  }

  /** Sends both. */
  byBoth(what: string, request: string, expected: Expected, token = this.tokens?.access ?? "") {
    return this.#send(this.#cookies, what, request, `both ${short(token)}`, expected, {
      headers: { authorization: `Bearer ${token}` },
    });
  }

  /** Exchanges the refresh token. */
  byRefresh(what: string, expected: Expected, token = this.tokens?.refresh ?? "") {
    return this.#send(this.#noCookies, what, "POST /session/refresh", short(token), expected, {
      body: { refresh_token: token },
    });
  }

  /** Without a line in the story. */
  quietly(request: string, options?: BrowserRequest): Promise<BrowserResponse> {
    return ask(this.#cookies, request, options);
  }

  async #send(
    browser: Browser,
    what: string,
    request: string,
    credential: string,
    expected: Expected,
    options?: BrowserRequest,
  ): Promise<BrowserResponse> {
    const answer = await ask(browser, request, options);
    this.tokens = tokensIn(answer) ?? this.tokens;
    this.narrator.answer(what, `${request} ${credential}`, answer, expected);
    return answer;
  }
}

function ask(browser: Browser, request: string, options?: BrowserRequest) {
  const [method = "", path = ""] = request.split(" ");
  return browser.request(method, path, options);
}

import { request, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http";
import { CookieJar } from "./cookie-jar.js";

export interface BrowserRequest {
  readonly headers?: OutgoingHttpHeaders;
  /** A string is sent as it is, anything else as JSON. */
  readonly body?: unknown;
  /** Gives up: closes the connection, as a client that went away. */
  readonly signal?: AbortSignal;
}

export interface BrowserResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The `Set-Cookie` lines. */
  readonly setCookie: readonly string[];
  /** Parsed when the content type says JSON, else the text. */
  readonly body: any;
}

/**
 * A browser's side of HTTP: keeps cookies, follows no redirects. Not on `fetch`, which adds
 * `Sec-Fetch-Mode` of its own accord. Every request takes a new connection, so that a server that was
 * restarted never meets a stale one.
 */
export class Browser {
  readonly #jar: CookieJar;

  /** @param baseUrl such as `http://127.0.0.1:3000` */
  constructor(
    readonly baseUrl: string,
    jar: CookieJar = new CookieJar(),
  ) {
    this.#jar = jar;
  }

  /** Name to value; a test may set and delete. */
  get cookies(): Map<string, string> {
    return this.#jar.cookies;
  }

  /** A second browser with a copy of the cookies; with `shared`, a second tab of the same browser. */
  clone(options: { readonly shared?: boolean; readonly baseUrl?: string } = {}): Browser {
    const jar = options.shared === true ? this.#jar : this.#jar.clone();
    return new Browser(options.baseUrl ?? this.baseUrl, jar);
  }

  get(path: string, options: BrowserRequest = {}): Promise<BrowserResponse> {
    return this.request("GET", path, options);
  }

  post(path: string, options: BrowserRequest = {}): Promise<BrowserResponse> {
    return this.request("POST", path, options);
  }

  request(method: string, path: string, options: BrowserRequest = {}): Promise<BrowserResponse> {
    const url = new URL(path, this.baseUrl);
    if (url.hostname !== "127.0.0.1") throw new TypeError(`not on 127.0.0.1: ${url.href}`);
    const body = bodyOf(options.body);
    const cookie = this.#jar.header(url.pathname);
    const headers: OutgoingHttpHeaders = {
      ...(cookie === undefined ? {} : { cookie }),
      ...(body?.headers ?? {}),
      ...options.headers,
    };

    return new Promise((resolve, reject) => {
      const sending = request(url, { method, headers, agent: false, signal: options.signal });
      sending.once("error", reject);
      sending.once("response", (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.once("error", reject);
        response.once("end", () => {
          const setCookie = response.headers["set-cookie"] ?? [];
          for (const line of setCookie) this.#jar.receive(line, url.pathname);
          const text = Buffer.concat(chunks).toString("utf8");
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            setCookie,
            body: parsed(text, response.headers["content-type"]),
          });
        });
      });
      sending.end(body?.text);
    });
  }
}

function bodyOf(body: unknown): { text: string; headers: OutgoingHttpHeaders } | undefined {
  if (body === undefined) return undefined;
  if (typeof body === "string") {
    return { text: body, headers: { "content-length": Buffer.byteLength(body) } };
  }
  const text = JSON.stringify(body);
  return {
    text,
    headers: { "content-type": "application/json", "content-length": Buffer.byteLength(text) },
  };
}

function parsed(text: string, contentType: string | undefined): unknown {
  const isJson = /^application\/(\w+\+)?json\b|^application\/[\w.-]+\+json\b/.test(
    contentType ?? "",
  );
  return isJson && text !== "" ? (JSON.parse(text) as unknown) : text;
}

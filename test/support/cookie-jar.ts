/** Where a cookie may be sent, and until when; a session cookie has no end. */
interface CookieScope {
  readonly path: string;
  readonly expiresAt: number | undefined;
}

/**
 * The cookies of one origin, kept as a browser keeps them (RFC 6265 5.3 and 5.4). It knows a cookie by
 * its name alone, and takes `Secure` cookies from 127.0.0.1, which browsers trust.
 */
export class CookieJar {
  /** Name to value. What a test sets here itself is sent everywhere and does not expire. */
  readonly cookies = new Map<string, string>();
  readonly #scopes = new Map<string, CookieScope>();

  constructor(private readonly now: () => number = Date.now) {}

  clone(): CookieJar {
    const copy = new CookieJar(this.now);
    for (const [name, value] of this.cookies) copy.cookies.set(name, value);
    for (const [name, scope] of this.#scopes) copy.#scopes.set(name, scope);
    return copy;
  }

  /** Takes one `Set-Cookie` line of a response to `requestPath`. */
  receive(line: string, requestPath: string): void {
    const [pair = "", ...attributes] = line.split(";").map((part) => part.trim());
    const [name, value] = splitAt(pair, "=");
    const given = new Map(
      attributes.map((attribute) => {
        const [key, setting] = splitAt(attribute, "=");
        return [key.toLowerCase(), setting] as const;
      }),
    );
    const path = given.get("path");
    const expiresAt = this.#expiry(given.get("max-age"), given.get("expires"));
    if (expiresAt !== undefined && expiresAt <= this.now()) {
      this.cookies.delete(name);
      this.#scopes.delete(name);
      return;
    }
    this.cookies.set(name, value);
    this.#scopes.set(name, {
      path: path?.startsWith("/") ? path : defaultPath(requestPath),
      expiresAt,
    });
  }

  /** The `Cookie` header of a request to `requestPath`; undefined when there is nothing to send. */
  header(requestPath: string): string | undefined {
    const pairs: string[] = [];
    for (const [name, value] of this.cookies) {
      const scope = this.#scopes.get(name);
      if (scope?.expiresAt !== undefined && scope.expiresAt <= this.now()) {
        this.cookies.delete(name);
        this.#scopes.delete(name);
      } else if (scope === undefined || pathMatches(scope.path, requestPath)) {
        pairs.push(`${name}=${value}`);
      }
    }
    return pairs.length > 0 ? pairs.join("; ") : undefined;
  }

  #expiry(maxAge: string | undefined, expires: string | undefined): number | undefined {
    if (maxAge !== undefined && /^-?\d+$/.test(maxAge)) return this.now() + Number(maxAge) * 1_000;
    const time = expires === undefined ? Number.NaN : Date.parse(expires);
    return Number.isNaN(time) ? undefined : time;
  }
}

function splitAt(text: string, separator: string): [string, string] {
  const index = text.indexOf(separator);
  return index < 0 ? [text, ""] : [text.slice(0, index).trim(), text.slice(index + 1).trim()];
}

function defaultPath(requestPath: string): string {
  const end = requestPath.lastIndexOf("/");
  return end <= 0 ? "/" : requestPath.slice(0, end);
}

function pathMatches(cookiePath: string, requestPath: string): boolean {
  if (cookiePath === requestPath) return true;
  return requestPath.startsWith(cookiePath.endsWith("/") ? cookiePath : `${cookiePath}/`);
}

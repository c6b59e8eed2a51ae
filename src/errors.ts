import { inspect } from "node:util";
import type { Context } from "koa";

const catalogue = {
  "invalid-token": [401, "The token is malformed, expired, revoked or unknown."],
  "no-session": [401, "There is no session to issue tokens for."],
  "cross-site-request": [403, "Tokens are not handed out on cross-site requests."],
  "method-not-allowed": [405, "Only POST is allowed here."],
  "already-adopted": [409, "This session already has tokens in use; refresh those instead."],
  "already-bearer": [409, "This request already carries an access token; refresh it instead."],
  "issuing-disabled": [409, "No tokens are issued while the session bridge is in mode observe."],
  "not-upgradable": [409, "This cookie session cannot be upgraded to a token session."],
  "not-settled": [409, "The cookie has just been given its key; try again in a few seconds."],
  "session-conflict": [409, "The session was changed by somebody else since it was read."],
  "session-ended": [409, "The session has ended."],
  "invalid-request": [
    400,
    'A JSON object with a string "refresh_token" is required, sent as application/json.',
  ],
  "data-not-storable": [500, "The session data cannot be stored as JSON in PostgreSQL."],
  "schema-missing": [
    503,
    "The session tables are missing or outdated; run: npx koa-session-bridge migrate",
  ],
  "store-unavailable": [503, "The session store is unavailable; try again shortly."],
  "store-misconfigured": [503, "The session store refuses the application; its log tells why."],
  "legacy-store-unavailable": [503, "The legacy session store is unavailable; try again shortly."],
} as const satisfies Record<string, readonly [status: number, sentence: string]>;

/** The stable codes of {@link BridgeError}. */
export type BridgeErrorCode = keyof typeof catalogue;

/** All of them. */
export const bridgeErrorCodes = Object.keys(catalogue) as BridgeErrorCode[];

const retryAfterInSeconds = "2";
const settlesInSeconds = "6";

/**
 * A runtime failure. `code` is stable, `status` is the HTTP status, `message` is fit for the public;
 * the private reason is in `cause`. `headers` are those that Koa's error handler puts on the response.
 */
export class BridgeError extends Error {
  override readonly name = "BridgeError";
  readonly code: BridgeErrorCode;
  readonly status: number;
  readonly headers: Record<string, string>;
  /** Koa shows the message of such an error to the client, and does not log it. */
  readonly expose: boolean;

  constructor(code: BridgeErrorCode, options?: { cause?: unknown }) {
    const [status, sentence] = catalogue[code];
    super(sentence, options);
    this.code = code;
    this.status = status;
    this.expose = status < 500;
    this.headers = headersFor(code, status);
  }

  // A console that prints an error prints its cause: a driver's error may quote data.
  [inspect.custom](): string {
    const { cause } = this;
    const reason =
      cause instanceof Error && "code" in cause ? ` (cause: ${String(cause.code)})` : "";
    return `${this.stack ?? this.message}${reason}`;
  }
}

function headersFor(code: BridgeErrorCode, status: number): Record<string, string> {
  if (code === "invalid-token") return { "WWW-Authenticate": 'Bearer error="invalid_token"' };
  if (status === 401) return { "WWW-Authenticate": "Bearer" };
  if (status === 405) return { Allow: "POST" };
  if (code === "not-settled") return { "Retry-After": settlesInSeconds };
  if (status === 503) return { "Retry-After": retryAfterInSeconds };
  return {};
}

/** Answers with a problem document (RFC 9457) that carries the stable code. */
export function answerProblem(ctx: Context, error: BridgeError): void {
  ctx.status = error.status;
  ctx.set(error.headers);
  ctx.set("Cache-Control", "no-store");
  ctx.body = JSON.stringify({
    type: "about:blank",
    title: error.message,
    status: error.status,
    code: error.code,
  });
  ctx.type = "application/problem+json";
}

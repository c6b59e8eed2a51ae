import type { BrowserResponse } from "../test/support/client.js";

const width = 100;
const columns = { what: 31, sent: 35 };
const indent = 4 + columns.what + 1 + columns.sent + 3;

/** The two strings of a token pair. */
export interface Tokens {
  readonly access: string;
  readonly refresh: string;
}

/** What an answer must be. What is left out must not be there: no tokens, no cookies, no error. */
export interface Expected {
  readonly status: number;
  /** The session that the application answered with, as `user: item, item`. */
  readonly cart?: string;
  /** The error code or sentence. */
  readonly error?: string;
  /** Any pair, or exactly this one. */
  readonly tokens?: "a pair" | Tokens;
  readonly cookie?: "set" | "cleared";
}

/** Tells the story line by line, and checks every line of it. */
export class Narrator {
  #failures = 0;
  #steps = 0;
  readonly #colours: boolean;

  constructor(private readonly out: NodeJS.WriteStream) {
    this.#colours = out.isTTY && !process.env["NO_COLOR"];
  }

  get failures(): number {
    return this.#failures;
  }

  heading(text: string): void {
    this.line(`\n${this.#style("1", text)}`);
  }

  note(text: string): void {
    this.line(this.#style("2", text));
  }

  line(text = ""): void {
    this.out.write(`${text}\n`);
  }

  /** Something that is no step went wrong. */
  failure(text: string): void {
    this.#failures += 1;
    this.line(`  ${this.#style("31;1", "✗")} ${text}`);
  }

  summary(seconds: string): void {
    const steps = `${this.#steps} steps in ${seconds} s`;
    this.line();
    if (this.#failures === 0) this.line(`${this.#style("32;1", "All as told")}: ${steps}.`);
    else this.line(`${this.#style("31;1", `${this.#failures} not as told`)}, of ${steps}.`);
  }

  /** A step without HTTP: `got` must be `expected`. */
  fact(what: string, sent: string, got: string, expected: string): void {
    this.#report(what, sent, got, got === expected ? [] : [`expected ${expected}`]);
  }

  /** A step of one request and its answer. */
  answer(what: string, sent: string, answer: BrowserResponse, expected: Expected): void {
    this.#report(what, sent, describe(answer), differences(answer, expected));
  }

  #report(what: string, sent: string, got: string, problems: readonly string[]): void {
    this.#steps += 1;
    if (problems.length > 0) this.#failures += 1;
    const mark = problems.length > 0 ? this.#style("31;1", "✗") : this.#style("32", "✓");
    const request = this.#style("2", sent.padEnd(columns.sent));
    const [first, ...rest] = wrap(got);
    this.line(`  ${mark} ${what.padEnd(columns.what)} ${request} → ${first}`);
    for (const words of rest) this.line(" ".repeat(indent) + words);
    for (const problem of problems) this.line(`      ${this.#style("31", problem)}`);
  }

  #style(code: string, text: string): string {
    return this.#colours ? `\u001b[${code}m${text}\u001b[0m` : text;
  }
}

/** Breaks what came back between words, to fit its column. */
function wrap(text: string): string[] {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    const longer = line === "" ? word : `${line} ${word}`;
    if (line !== "" && indent + longer.length > width) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  return lines.map((line) => line.replaceAll(noBreak, " "));
}

/** The end of a secret: enough to see which is which. */
export const short = (secret: string) => `…${secret.slice(-5)}`;

/** The pair in an answer: in the headers of an offer, or in the body of an endpoint. */
export function tokensIn({ headers, body }: BrowserResponse): Tokens | undefined {
  const access: unknown = headers["session-access-token"] ?? body?.access_token;
  const refresh: unknown = headers["session-refresh-token"] ?? body?.refresh_token;
  return typeof access === "string" && typeof refresh === "string"
    ? { access, refresh }
    : undefined;
}

/** What differs, in words. */
function differences(answer: BrowserResponse, expected: Expected): string[] {
  const tokens = tokensIn(answer);
  const pair = (tokens: Tokens | undefined) => tokens && `${tokens.access} ${tokens.refresh}`;
  const anyPair = expected.tokens === "a pair";
  const parts: [part: string, expected: string | undefined, got: string | undefined][] = [
    ["status", String(expected.status), String(answer.status)],
    ["cart", expected.cart, cartOf(answer)],
    ["error", expected.error, errorOf(answer)],
    ["cookie", expected.cookie, cookieOf(answer)],
    anyPair
      ? ["tokens", "a pair", tokens && "a pair"]
      : ["tokens", pair(expected.tokens), pair(tokens)],
  ];
  return parts
    .filter(([, want, got]) => want !== got)
    .map(([part, want = "none", got = "none"]) => `expected ${part} ${want}, got ${got}`);
}

function describe(answer: BrowserResponse): string {
  const tokens = tokensIn(answer);
  const cookie = cookieOf(answer);
  const parts = [
    String(answer.status),
    cartOf(answer) ?? errorOf(answer),
    cookie && together(cookie === "set" ? "+ cookie" : "- cookie"),
    tokens && together(`+ tokens ${short(tokens.access)} ${short(tokens.refresh)}`),
  ];
  return parts.filter(Boolean).join(" ");
}

const noBreak = "\u00a0";
const together = (words: string) => words.replaceAll(" ", noBreak);

function cartOf({ body }: BrowserResponse): string | undefined {
  if (typeof body?.user !== "string") return undefined;
  return `${body.user}: ${(body.cart as string[]).join(", ") || "empty"}`;
}

function errorOf({ status, body }: BrowserResponse): string | undefined {
  if (status < 400) return undefined;
  return typeof body?.code === "string" ? body.code : String(body).toLowerCase();
}

function cookieOf({ setCookie }: BrowserResponse): Expected["cookie"] {
  const line = setCookie.find((line) => line.startsWith("koa.sess="));
  if (line === undefined) return undefined;
  return line.startsWith("koa.sess=;") ? "cleared" : "set";
}

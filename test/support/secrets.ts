import pg from "pg";

/** What a test run knows to be secret, and where it looks for it. */
export class SecretWatch {
  /** Secret to what it is. */
  readonly #secrets = new Map<string, string>();
  #seen: { readonly where: string; readonly text: string }[] = [];

  /** Nothing shorter can be told from an ordinary word. */
  static readonly minimumLength = 12;

  note(kind: string, secret: string): void {
    if (secret.length >= SecretWatch.minimumLength) this.#secrets.set(secret, kind);
  }

  /** A token, and its signature, which makes a token of what is known anyway. */
  noteTokens(text: string): void {
    for (const [token] of text.matchAll(tokens)) {
      this.note("token", token);
      this.note("signature of a token", token.slice(token.lastIndexOf(".") + 1));
    }
  }

  /** A cookie's value; also the id in it, with a signature or beside the data. */
  noteCookie(name: string, value: string): void {
    this.note(name.endsWith(".sig") ? "cookie signature" : "cookie value", value);
    const sid = /^s%3A([\w-]+)\./.exec(value)?.[1] ?? /^([^~]+)~[\w-]+$/.exec(value)?.[1];
    if (sid !== undefined) this.note("legacy key", sid);
    const id = /"_bridge":"([^"]+)"/.exec(Buffer.from(value, "base64").toString("utf8"))?.[1];
    if (id !== undefined) this.note("legacy key", id);
  }

  /** Keeps what was written somewhere, until `takeLeaks`. */
  see(where: string, text: string): void {
    if (text !== "") this.#seen.push({ where, text });
  }

  /** How many texts were seen there since `takeLeaks`. */
  seenIn(where: string): number {
    return this.#seen.filter((seen) => seen.where.startsWith(where)).length;
  }

  /** How many secrets of a kind are known. */
  known(kind: string): number {
    return [...this.#secrets.values()].filter((known) => known === kind).length;
  }

  /** The leaks in everything seen so far, which is then forgotten. */
  takeLeaks(): string[] {
    const texts = new Map<string, string[]>();
    for (const { where, text } of this.#seen) {
      const there = texts.get(where) ?? [];
      there.push(text);
      texts.set(where, there);
    }
    this.#seen = [];
    return [...texts].flatMap(([where, there]) => this.leaksIn(where, there.join("\n")));
  }

  /** A line for each secret in a text: in clear, or in the hexadecimal digits of `bytea`. */
  leaksIn(where: string, text: string): string[] {
    const leaks = [...this.#secrets]
      .filter(([secret]) => text.includes(secret) || text.includes(hex(secret)))
      .map(([secret, kind]) => `${kind} ${shortened(secret)} in ${where}`);
    // Whether anybody noted it or not.
    for (const [token] of text.matchAll(tokens)) {
      leaks.push(`token ${shortened(token)} in ${where}`);
    }
    return [...new Set(leaks)];
  }

  /** Searches every row of the bridge's tables. What other tables hold is the application's own. */
  async leaksInRows(databaseUrl: string): Promise<string[]> {
    if (this.#secrets.size === 0) return [];
    const client = new pg.Client({ connectionString: databaseUrl });
    await client.connect();
    try {
      const tables = await client.query<{ name: string }>(
        `select tablename as "name" from pg_tables
        where tablename like 'sessionStore%' or tablename like 'sessionBridge%'`,
      );
      const leaks: string[] = [];
      for (const { name } of tables.rows) {
        const { rows } = await client.query<{ text: string }>(
          `select t::text as "text" from "${name}" t`,
        );
        leaks.push(...this.leaksIn(`a row of ${name}`, rows.map(({ text }) => text).join("\n")));
      }
      return leaks;
    } finally {
      await client.end();
    }
  }
}

/** Anything that looks like a signed JWT. */
const tokens = /\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{16,}/g;
const hex = (secret: string) => Buffer.from(secret, "utf8").toString("hex");
const shortened = (secret: string) => `${secret.slice(0, 4)}…(${secret.length} characters)`;

/** Of this test file. */
export const secrets = new SecretWatch();

/** Fails with the list, when there is one. */
export function expectNoLeaks(leaks: readonly string[]): void {
  if (leaks.length > 0) throw new Error(`Secrets leaked:\n  ${leaks.join("\n  ")}`);
}

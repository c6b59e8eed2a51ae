import type { Mode } from "../../../src/index.js";
import { CookieJar } from "../cookie-jar.js";
import { exchange } from "./exchange.js";
import type { Ledger } from "./ledger.js";

export const source = "compas:oldapp.sess";
const second = 1000;
const minute = 60 * second;
export const dayInMs = 24 * 60 * minute;
/** How long a Compas cookie is good for. */
const cookieMaxAgeInMs = 6 * dayInMs;

/** What all users share. */
export interface World {
  readonly ledger: Ledger;
  readonly sessions: Set<CookieSession>;
  mode: Mode;
  /** The simulated time. */
  now: number;
  random(): number;
  baseUrl(): string;
}

/** A session that began with a cookie, as the load generator knows it. */
export interface CookieSession {
  expiresAt: number;
  isUpgraded: boolean;
  adoptedAt: number | undefined;
  hasEnded: boolean;
}

interface Pair {
  access: string;
  refresh: string;
  issuedAt: number;
  /** The refresh token before the last rotation, which somebody may have stolen. */
  rotated?: string;
}

interface Answer {
  readonly status: number;
  readonly userId: unknown;
  readonly pair: Pair | undefined;
}

/** Somebody who comes now and then, with whatever the last answers left behind. */
export class SimulatedUser {
  #jar: CookieJar;
  /** The session that the cookie opens. */
  #session: CookieSession | undefined;
  #pair: Pair | undefined;
  /** Whose the tokens are: undefined when no cookie was there before. */
  #ofCookie: CookieSession | undefined;
  #hasLeft = false;

  constructor(
    private readonly world: World,
    private readonly name: string,
    /** The client's version, which says from which simulated time on it takes tokens. */
    private readonly client: string,
    private readonly takesTokensFrom: number,
  ) {
    this.#jar = this.#newJar();
  }

  /** A cookie in its last minutes is not sent: the processes' clocks are some ahead of this one. */
  #newJar(): CookieJar {
    return new CookieJar(() => this.world.now + 30 * minute);
  }

  async visit(): Promise<void> {
    if (this.#hasLeft) return;
    if (this.#pair !== undefined) return this.#visitWithTokens(this.#pair);
    if (this.#session !== undefined && this.#jar.header("/") !== undefined) {
      return this.#visitWithCookie(this.#session);
    }
    return this.#login();
  }

  get #takesTokens(): boolean {
    return this.world.now >= this.takesTokensFrom;
  }

  get #isOffered(): boolean {
    return this.world.mode === "bridge" || this.world.mode === "drain";
  }

  async #login(): Promise<void> {
    const { mode, sessions } = this.world;
    this.#jar = this.#newJar();
    const answer = await this.#send("GET", `/login?user=${this.name}`, {});
    this.#note("requests", mode, "none");
    this.#expect(answer.userId === this.name, "logged in", answer);
    this.#session = undefined;
    if (mode === "observe" || mode === "bridge") {
      const isUpgraded = mode === "bridge";
      const expiresAt = this.world.now + cookieMaxAgeInMs;
      this.#session = { expiresAt, isUpgraded, adoptedAt: undefined, hasEnded: false };
      sessions.add(this.#session);
      if (isUpgraded) {
        this.#note("upgrades", source, "");
        this.#note("offers", source, "");
      }
    }
    if (mode === "observe") return;
    if (this.#takesTokens) {
      await this.#take(answer);
    } else if (this.#session === undefined) {
      // Nothing that this client knows would open the session: its user calls the support.
      this.#hasLeft = true;
    }
  }

  async #take(answer: Answer): Promise<void> {
    this.#expect(answer.pair !== undefined, "offered tokens", answer);
    this.#pair = answer.pair!;
    this.#ofCookie = this.#session;
    await this.#useTokens(this.#pair);
  }

  async #visitWithCookie(session: CookieSession): Promise<void> {
    const { mode } = this.world;
    if (this.world.random() < 0.01) await this.#forged();
    const answer = await this.#send("GET", "/whoami", { cookie: true });
    if (mode === "tokens") {
      this.#expect(answer.userId === undefined, "refused", answer);
      this.#note("requests", mode, "none");
      this.#note("legacy_cookies", source, "dropped");
      this.#session = undefined;
      return;
    }
    this.#expect(answer.userId === this.name, "known by the cookie", answer);
    this.#hit();
    if (mode !== "drain") this.#renew(session);
    if (this.#isOffered) {
      if (!session.isUpgraded) this.#note("upgrades", source, "");
      session.isUpgraded = true;
      this.#note("offers", source, "");
      if (this.#takesTokens) return this.#take(answer);
    }
    if (this.world.random() < 0.01) await this.#logoutByCookie(session);
  }

  // koa-session stores a session anew when less than half of its time is left.
  #renew(session: CookieSession): void {
    const { now } = this.world;
    if (session.expiresAt - now < cookieMaxAgeInMs / 2) session.expiresAt = now + cookieMaxAgeInMs;
  }

  #hit(): void {
    this.#note("requests", this.world.mode, "legacy");
    this.#note("legacy_cookies", source, "hit");
  }

  async #logoutByCookie(session: CookieSession): Promise<void> {
    const before = this.#jar.clone();
    await this.#send("GET", "/logout", { cookie: true });
    this.#hit();
    session.hasEnded = true;
    this.#session = undefined;
    if (this.world.random() < 0.5) return;
    // Another tab still has the cookie.
    this.#jar = before;
    const answer = await this.#send("GET", "/whoami", { cookie: true, keep: false });
    this.#expect(answer.userId === undefined, "logged out", answer);
    this.#note("requests", this.world.mode, "legacy");
    this.#note("legacy_cookies", source, "missed");
    this.#jar = this.#newJar();
  }

  async #forged(): Promise<void> {
    const jar = this.#jar;
    this.#jar = jar.clone();
    this.#jar.cookies.set("oldapp.sess.sig", "not-the-signature");
    const answer = await this.#send("GET", "/whoami", { cookie: true, keep: false });
    this.#jar = jar;
    this.#expect(answer.userId === undefined, "not taken for somebody", answer);
    const isRefused = this.world.mode === "tokens";
    this.#note("requests", this.world.mode, isRefused ? "none" : "legacy");
    this.#note("legacy_cookies", source, isRefused ? "dropped" : "unverified");
  }

  async #visitWithTokens(pair: Pair): Promise<void> {
    const { world } = this;
    if (pair.rotated !== undefined && world.random() < 0.004) await this.#thief(pair.rotated);
    if (world.now - pair.issuedAt > 10 * minute) {
      const answer = await this.#send("POST", "/session/refresh", { refresh: pair.refresh });
      this.#note("requests", world.mode, "refresh");
      if (answer.status === 401) {
        this.#note("refreshes", "", "ended");
        this.#note("refusals", "", "invalid-token");
        this.#forget();
        return this.#login();
      }
      this.#expect(answer.pair !== undefined, "refreshed", answer);
      this.#note("refreshes", "", "rotated");
      this.#adopted();
      this.#pair = pair = { ...answer.pair!, rotated: pair.refresh };
    }
    await this.#useTokens(pair);
    if (world.random() < 0.05) await this.#staleTab();
    if (world.random() < 0.01) {
      await this.#send("GET", "/logout", { bearer: pair.access });
      this.#note("requests", world.mode, "bearer");
      if (this.#ofCookie !== undefined) this.#ofCookie.hasEnded = true;
      this.#forget();
    }
  }

  #forget(): void {
    this.#pair = undefined;
    this.#ofCookie = undefined;
    this.#session = undefined;
  }

  /** Of one visit in ten the cookie comes along. */
  async #useTokens(pair: Pair): Promise<void> {
    const cookie = this.world.random() < 0.1 && this.#jar.header("/") !== undefined;
    const answer = await this.#send("GET", "/whoami", { bearer: pair.access, cookie });
    this.#expect(answer.userId === this.name, "known by the token", answer);
    this.#note("requests", this.world.mode, "bearer");
    if (cookie) this.#note("legacy_cookies", source, "redundant");
    this.#adopted();
  }

  #adopted(): void {
    const session = this.#ofCookie;
    if (session === undefined || session.adoptedAt !== undefined) return;
    session.adoptedAt = this.world.now;
    this.#note("adoptions", source, "");
  }

  /** A tab that was never loaded again since the tokens came. */
  async #staleTab(): Promise<void> {
    const { mode, now } = this.world;
    const session = this.#ofCookie;
    if (session?.adoptedAt === undefined || this.#jar.header("/") === undefined) return;
    const age = now - session.adoptedAt;
    // About a day later nobody can tell on which side of the linger it is.
    if (age > dayInMs / 2 && age < 1.5 * dayInMs) return;
    const answer = await this.#send("GET", "/whoami", { cookie: true, keep: false });
    if (mode === "tokens") {
      this.#note("requests", mode, "none");
      this.#note("legacy_cookies", source, "dropped");
    } else if (age < dayInMs) {
      this.#expect(answer.userId === this.name, "still known by the cookie", answer);
      this.#hit();
    } else {
      this.#expect(answer.userId === undefined, "retired", answer);
      this.#note("requests", mode, "legacy");
      this.#note("legacy_cookies", source, "retired");
    }
  }

  async #thief(rotated: string): Promise<void> {
    const answer = await this.#send("POST", "/session/refresh", { refresh: rotated });
    this.#expect(answer.status === 401, "refused as stolen", answer);
    this.#note("requests", this.world.mode, "refresh");
    this.#note("refreshes", "", "reused");
    this.#note("refusals", "", "invalid-token");
    if (this.#ofCookie !== undefined) this.#ofCookie.hasEnded = true;
  }

  #note(counter: string, first: string, second: string): void {
    const client = counter === "legacy_cookies" ? this.client : "";
    const day = new Date(this.world.now).toISOString().slice(0, 10);
    this.world.ledger.note(day, counter, first, second, client);
  }

  #expect(holds: boolean, what: string, answer: Answer): void {
    if (holds) return;
    throw new Error(
      `${this.name} in ${this.world.mode} was not ${what}: ${JSON.stringify(answer)}`,
    );
  }

  async #send(
    method: string,
    path: string,
    credentials: { cookie?: boolean; bearer?: string; refresh?: string; keep?: boolean },
  ): Promise<Answer> {
    const { world } = this;
    const cookie = credentials.cookie === true ? this.#jar.header(path) : undefined;
    const body = credentials.refresh && JSON.stringify({ refresh_token: credentials.refresh });
    const headers = {
      "x-now": String(world.now),
      "x-client": this.client,
      ...(cookie !== undefined && { cookie }),
      ...(credentials.bearer !== undefined && { authorization: `Bearer ${credentials.bearer}` }),
      ...(body && { "content-type": "application/json", "content-length": body.length }),
    };
    const url = new URL(path, world.baseUrl());
    const sent = await exchange(url, method, headers, body || undefined);
    if (credentials.keep !== false) {
      for (const line of sent.setCookie) this.#jar.receive(line, path);
    }
    const { status, parsed } = sent;
    const access = parsed["access_token"] ?? sent.headers["session-access-token"];
    const refresh = parsed["refresh_token"] ?? sent.headers["session-refresh-token"];
    const pair = access === undefined ? undefined : { access, refresh, issuedAt: world.now };
    return { status, userId: parsed["session"]?.userId, pair };
  }
}

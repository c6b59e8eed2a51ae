import type { Pool } from "pg";
import { TestClock } from "../test/support/clock.js";
import type { Mode, SessionBridge } from "../src/index.js";
import {
  createBridgedShop,
  createOldShop,
  createSetting,
  listen,
  type Running,
  type Setting,
} from "./app.js";
import type { Narrator } from "./narrator.js";
import { Shopper } from "./shopper.js";

const names = ["ada", "ben", "cleo", "dan", "eve", "fay"] as const;

/** What the chapters of the story share: the shop, its clock and flag, and the people. */
export class Stage {
  /** The bridge's clock: it moves when the story says so, and nothing waits. */
  readonly clock = new TestClock();
  readonly people: Readonly<Record<(typeof names)[number], Shopper>>;
  /** The cookies as they were before the bridge. */
  readonly recorded = new Map<Shopper, ReadonlyMap<string, string>>();
  /** Whatever went wrong beside an answer; the story expects nothing. */
  readonly errors: Error[] = [];
  /** How often the bridge told of a stolen refresh token. */
  leaks = 0;
  mode: Mode = "observe";
  readonly #setting: Setting;
  #running: Running | undefined;
  #bridge: SessionBridge | undefined;

  constructor(
    readonly tell: Narrator,
    readonly pool: Pool,
    private readonly port: number,
  ) {
    this.#setting = createSetting(pool, this.clock.now);
    const url = `http://127.0.0.1:${port}`;
    this.people = Object.fromEntries(
      names.map((name) => [name, new Shopper(name, url, tell)]),
    ) as Stage["people"];
  }

  get bridge(): SessionBridge {
    if (this.#bridge === undefined) throw new Error("the bridge comes in the second chapter");
    return this.#bridge;
  }

  async startOldShop(): Promise<void> {
    await this.close();
    this.#running = await listen(createOldShop(this.#setting), this.port, this.#onError);
  }

  async startBridgedShop(): Promise<void> {
    await this.close();
    const { app, bridge } = createBridgedShop(this.#setting, () => this.mode);
    bridge.on("error", this.#onError);
    bridge.on("session:leaked", () => (this.leaks += 1));
    this.#bridge = bridge;
    this.#running = await listen(app, this.port, this.#onError);
  }

  /** The person's browser as it was before the bridge. */
  asRecorded(person: Shopper): Shopper {
    return person.withCookies(this.recorded.get(person) ?? new Map());
  }

  createOldTable(): Promise<void> {
    return this.#setting.store.createTable();
  }

  /** How many rows a query counts, in words. */
  async count(what: string, from: string): Promise<string> {
    const { rows } = await this.pool.query<{ count: string }>(`select count(*) from ${from}`);
    return `${rows[0]?.count ?? ""} ${what}`;
  }

  async close(): Promise<void> {
    await this.#bridge?.close();
    await this.#running?.close();
    this.#bridge = undefined;
    this.#running = undefined;
  }

  readonly #onError = (error: Error) => {
    this.errors.push(error);
  };
}

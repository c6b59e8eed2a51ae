import { MapStore } from "../app.js";
import { ExpressMapStore } from "./express-map-store.js";

type Callback = (error?: unknown, all?: unknown) => void;

/** A store that can list its sessions; `failing` has every call throw, as one that has been taken away. */
export class ListedStore extends MapStore {
  failing = false;
  /** Called when a session has been read, before the reader has it. */
  onRead: (key: string) => Promise<void> | void = () => undefined;

  override async get(key: string): Promise<unknown> {
    this.#reach();
    const value = await super.get(key);
    await this.onRead(key);
    return value;
  }

  override async set(key: string, value: unknown): Promise<void> {
    this.#reach();
    await super.set(key, value);
  }

  override async destroy(key: string): Promise<void> {
    this.#reach();
    await super.destroy(key);
  }

  keys(): Iterable<string> {
    this.#reach();
    return this.entries.keys();
  }

  #reach(): void {
    if (this.failing) throw new Error("the old store has been taken away");
  }
}

/** A store of express-session with the conventional `all`, by id or as a list. */
export class ListedExpressStore extends ExpressMapStore {
  failing = false;

  constructor(private readonly asList: boolean) {
    super();
  }

  override get(id: string, callback: Callback): void {
    if (this.failing) callback(new Error("the old store has been taken away"));
    else super.get(id, callback);
  }

  all(callback: Callback): void {
    const entries = [...this.entries].map(
      ([id, text]) => [id, JSON.parse(text) as object] as const,
    );
    const list = entries.map(([id, session]) => ({ ...session, id }));
    setImmediate(callback, null, this.asList ? list : Object.fromEntries(entries));
  }
}

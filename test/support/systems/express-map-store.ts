import session from "express-session";

type Callback = (error?: unknown, stored?: unknown) => void;

/** A store of express-session in memory; it has no `touch`, as those of many databases. */
export class ExpressMapStore extends session.Store {
  readonly entries = new Map<string, string>();

  override get(id: string, callback: Callback): void {
    const text = this.entries.get(id);
    const stored = text && (JSON.parse(text) as { cookie: { expires?: string } });
    const expires = stored && stored.cookie.expires;
    const isOver = typeof expires === "string" && Date.parse(expires) <= Date.now();
    setImmediate(callback, null, isOver ? undefined : stored);
  }

  override set(id: string, value: object, callback: Callback): void {
    this.entries.set(id, JSON.stringify(value));
    setImmediate(callback, null);
  }

  override destroy(id: string, callback: Callback): void {
    this.entries.delete(id);
    setImmediate(callback, null);
  }
}

/** Being told of a session's use, it stores the whole session. */
export class TouchedMapStore extends ExpressMapStore {
  touch(id: string, value: object, callback: Callback): void {
    if (this.entries.has(id)) this.set(id, value, callback);
    else setImmediate(callback, null);
  }
}

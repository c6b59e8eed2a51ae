import { subscribe } from "node:diagnostics_channel";
import type { ClientRequest, IncomingMessage } from "node:http";
import { format, inspect } from "node:util";
import { afterAll } from "vitest";
import { Events } from "../../src/events.js";
import { cookieKeys, MapStore, signingKeys } from "./app.js";
import { PgLegacyStore } from "./pg-legacy-store.js";
import { expectNoLeaks, secrets } from "./secrets.js";
import { Koa } from "./versions.js";

// Watches every flow: notes the secrets that pass, keeps what is logged, told and answered, and fails
// the file when one is found in the other. Database rows are searched when a database is dropped.

for (const key of cookieKeys) secrets.note("application key", key);
for (const { key } of signingKeys) if (typeof key === "string") secrets.note("signing key", key);

// What is written.
for (const name of ["debug", "error", "info", "log", "trace", "warn"] as const) {
  // eslint-disable-next-line no-console
  const write = console[name].bind(console);
  // eslint-disable-next-line no-console
  console[name] = (...args: unknown[]) => {
    secrets.see(`console.${name}`, format(...args));
    write(...args);
  };
}
for (const name of ["stdout", "stderr"] as const) {
  const write = process[name].write.bind(process[name]) as (...args: unknown[]) => boolean;
  process[name].write = (...args: unknown[]) => {
    secrets.see(name, String(args[0]));
    return write(...args);
  };
}

// What is told: inspected as a logger would.
interface Emitter {
  emit: (this: Emitter, name: string, ...args: unknown[]) => unknown;
}
watchEmitter("event", Events.prototype);
watchEmitter("Koa's event", Koa.prototype);

function watchEmitter(where: string, prototype: Emitter): void {
  const { emit } = prototype;
  prototype.emit = function (this: Emitter, name: string, ...args: unknown[]) {
    // Koa also hands over its context, which holds the whole request; koa-session hands over its key.
    const told = where === "event" ? args : args.slice(0, 1);
    if (!name.startsWith("session:") || where === "event") {
      secrets.see(`${where} ${name}`, inspect(told, { depth: 8 }));
    }
    return emit.call(this, name, ...args);
  };
}

// What is sent and answered.
subscribe("http.client.request.start", (message) => {
  const { request } = message as { request: ClientRequest };
  secrets.noteTokens(String(request.getHeader("authorization") ?? ""));
  for (const pair of String(request.getHeader("cookie") ?? "").split("; ")) noteCookie(pair);
});

subscribe("http.client.response.finish", (message) => {
  const { response } = message as { response: IncomingMessage };
  for (const value of Object.values(response.headers)) {
    if (typeof value === "string") secrets.noteTokens(value);
  }
  for (const line of response.headers["set-cookie"] ?? []) noteCookie(line.split(";")[0] ?? "");
  const chunks: Buffer[] = [];
  const push = response.push.bind(response);
  response.push = (chunk: Buffer | null, encoding?: BufferEncoding) => {
    if (chunk !== null) chunks.push(chunk);
    else seeBody(response.statusCode ?? 0, Buffer.concat(chunks).toString("utf8"));
    return push(chunk, encoding);
  };
});

function seeBody(status: number, body: string): void {
  if (status >= 400) secrets.see(`the body of a ${status}`, body);
  else secrets.noteTokens(body);
}

function noteCookie(pair: string): void {
  const separator = pair.indexOf("=");
  if (separator > 0) secrets.noteCookie(pair.slice(0, separator), pair.slice(separator + 1));
}

watchStore(MapStore.prototype);
watchStore(PgLegacyStore.prototype);

function watchStore(prototype: {
  set: (this: never, key: string, value: unknown) => Promise<void>;
}): void {
  const { set } = prototype;
  prototype.set = function (key, value) {
    secrets.note("legacy key", key);
    return set.call(this, key, value);
  };
}

// Hooks end in reverse order: this is the file's last.
afterAll(() => {
  expectNoLeaks(secrets.takeLeaks());
});

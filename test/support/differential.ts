import fc from "fast-check";
import type { Handler } from "./app.js";
import type { Browser, BrowserResponse } from "./client.js";
import { koaSessionVersion } from "./versions.js";

/** What a handler does with the session, in one request after the other's. */
export type Operation =
  | { readonly do: "read" | "null" | "save" | "manuallyCommit" | "regenerate" }
  | { readonly do: "replace"; readonly value: object }
  | { readonly do: "set"; readonly name: string; readonly value: unknown }
  | { readonly do: "delete"; readonly name: string }
  | { readonly do: "mutate"; readonly value: unknown }
  | { readonly do: "maxAge"; readonly value: number | "session" };

/** A request by one of the tabs, or the passing of time. */
export interface Step {
  readonly tab: number;
  readonly operations: readonly Operation[];
  readonly secondsLater: number;
}

const names = fc.constantFrom("a", "bb", "list", "userId");
const value = fc.oneof(
  fc.constantFrom(null, true, 0, 1.5, "x", "ü€😀", "__proto__"),
  fc.record({ z: fc.integer({ min: 0, max: 2 }), aa: fc.constantFrom("p", "q") }),
  fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 2 }),
);
const withoutValue = ["read", "null", "save", "manuallyCommit"] as const;

const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({
    // koa-session 5 has no regenerate().
    do: fc.constantFrom<Operation["do"] & ("read" | "regenerate")>(
      ...(withoutValue as readonly ("read" | "regenerate")[]),
      ...(koaSessionVersion === "5" ? [] : (["regenerate"] as const)),
    ),
  }),
  fc.record({
    do: fc.constant("replace" as const),
    // The first ones often, so that the same object is set again, in any order of its members.
    value: fc.oneof(
      fc.constantFrom({ userId: "x", a: 1 }, { a: 1, userId: "x" }, { userId: "y", a: 1 }, {}),
      fc.dictionary(names, value),
    ),
  }),
  fc.record({ do: fc.constant("set" as const), name: names, value }),
  fc.record({ do: fc.constant("delete" as const), name: names }),
  fc.record({ do: fc.constant("mutate" as const), value }),
  fc.record({
    do: fc.constant("maxAge" as const),
    value: fc.constantFrom<number | "session">(30_000, 120_000, "session"),
  }),
);

/** Sequences of requests; one without operations does not touch the session. */
export const sequences: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    tab: fc.integer({ min: 0, max: 2 }),
    operations: fc.array(operation, { maxLength: 3 }),
    secondsLater: fc.constantFrom(0, 0, 1, 40),
  }),
  { minLength: 2, maxLength: 8 },
);

/** Carries out the operations that a request names, and tells what the session is after each. */
export const operate: Handler = async (ctx) => {
  const seen: unknown[] = [];
  for (const operation of JSON.parse(String(ctx.query["do"])) as Operation[]) {
    await carryOut(operation, ctx);
    seen.push(
      ctx.session && {
        data: ctx.session.toJSON() as unknown,
        isNew: Boolean(ctx.session.isNew),
        length: ctx.session.length as unknown,
        populated: ctx.session.populated as unknown,
        maxAge: ctx.session.maxAge as unknown,
        externalKey: ctx.session.externalKey as unknown,
      },
    );
  }
  ctx.body = { seen };
};

async function carryOut(operation: Operation, ctx: Parameters<Handler>[0]): Promise<void> {
  if (operation.do === "null") ctx.session = null;
  else if (operation.do === "replace") ctx.session = operation.value;
  if (!ctx.session) return;
  switch (operation.do) {
    case "save":
    case "manuallyCommit":
    case "regenerate":
      await ctx.session[operation.do]();
      return;
    case "set":
      ctx.session[operation.name] = operation.value;
      return;
    case "delete":
      delete ctx.session[operation.name];
      return;
    case "mutate":
      ctx.session.nested ??= { deep: [] };
      ctx.session.nested.deep.push(operation.value);
      return;
    case "maxAge":
      ctx.session.maxAge = operation.value;
      return;
    default:
  }
}

/** What a client sees of one request that plain koa-session and the bridge must have in common. */
export interface Seen {
  readonly status: number;
  readonly body: unknown;
  readonly setCookie: readonly unknown[];
}

/** What is compared of a cookie's value: of a data cookie, the payload. */
export type ReadValue = (name: string, value: string) => unknown;

export async function send(browser: Browser, step: Step, read: ReadValue): Promise<Seen> {
  const query = encodeURIComponent(JSON.stringify(step.operations));
  return seenIn(await browser.get(`/operate?do=${query}`), read);
}

/** The part of a response that is compared. */
export function seenIn({ status, body, setCookie }: BrowserResponse, read: ReadValue): Seen {
  return {
    status,
    body: body as unknown,
    setCookie: setCookie.map((line) => {
      const [pair = "", ...attributes] = line.split("; ");
      const name = pair.slice(0, pair.indexOf("="));
      return { name, value: read(name, pair.slice(name.length + 1)), attributes };
    }),
  };
}

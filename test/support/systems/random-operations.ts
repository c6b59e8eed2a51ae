import fc from "fast-check";
import type { Browser } from "../client.js";
import { seenIn, type ReadValue, type Seen } from "../differential.js";
import type { Handler } from "../app.js";
import type { Carrier } from "./session-api.js";

/** What a handler does with the session: by its name in a vocabulary. */
export interface Operation {
  readonly do: string;
  readonly name: string;
  readonly value: unknown;
}

/** A request by one of the tabs, or the passing of time. */
export interface Step {
  readonly tab: number;
  readonly operations: readonly Operation[];
  readonly secondsLater: number;
}

/** What a library can be told to do. */
export type Vocabulary = Readonly<Record<string, (on: Carrier, operation: Operation) => unknown>>;

const members = ["a", "bb", "list", "userId"];
const value = fc.oneof(
  fc.constantFrom(null, true, 0, 1.5, "x", "ü€😀"),
  fc.record({ z: fc.integer({ min: 0, max: 2 }), aa: fc.constantFrom("p", "q") }),
  fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 2 }),
);
// The first ones often, so that the same object is set again, in any order of its members.
const replacement = fc.oneof(
  fc.constantFrom({ userId: "x", a: 1 }, { a: 1, userId: "x" }, { userId: "y", a: 1 }, {}),
  fc.dictionary(fc.constantFrom(...members), value),
);

const live = async (on: Carrier) => (await on.session) as Record<string, any> | null | undefined;

/** What every library can do; nothing where there is no session. */
export const commonVocabulary: Vocabulary = {
  read: live,
  null: (on) => (on.session = null),
  replace: (on, { value }) => (on.session = { ...Object(value) } as object),
  set: async (on, { name, value }) => {
    const session = await live(on);
    if (session) session[name] = value;
  },
  delete: async (on, { name }) => {
    const session = await live(on);
    if (session) delete session[name];
  },
  mutate: async (on, { value }) => {
    const session = await live(on);
    if (!session) return;
    session["nested"] ??= { deep: [] };
    session["nested"].deep.push(value);
  },
};

/** Sequences of requests; one without operations does not touch the session. */
export function sequencesOf(vocabulary: Vocabulary): fc.Arbitrary<Step[]> {
  const operation = fc.constantFrom(...Object.keys(vocabulary)).chain((name) =>
    fc.record<Operation>({
      do: fc.constant(name),
      name: fc.constantFrom(...members),
      value: name === "replace" ? replacement : value,
    }),
  );
  const step = fc.record({
    tab: fc.integer({ min: 0, max: 2 }),
    operations: fc.array(operation, { maxLength: 3 }),
    secondsLater: fc.constantFrom(0, 0, 1, 40),
  });
  return fc.array(step, { minLength: 2, maxLength: 8 });
}

/** Carries out what a request says, and tells what the session is after each operation. */
export const operateWith =
  (vocabulary: Vocabulary): Handler =>
  async (ctx) => {
    const on = ctx as unknown as Carrier;
    const seen: unknown[] = [];
    for (const operation of JSON.parse(String(ctx.query["do"])) as Operation[]) {
      await vocabulary[operation.do]!(on, operation);
      // A copy: what happens later in the request is told then.
      seen.push(JSON.parse(JSON.stringify((await on.session) ?? null)));
      if (typeof on["sessionId"] === "string") seen.push(on["sessionId"]);
    }
    ctx.body = { seen };
  };

export async function send(browser: Browser, step: Step, read: ReadValue): Promise<Seen> {
  const query = encodeURIComponent(JSON.stringify(step.operations));
  return seenIn(await browser.get(`/operate?do=${query}`), read);
}

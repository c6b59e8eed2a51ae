import type { Context } from "koa";
import type { Handler } from "./app.js";

/** A handler that looks at its session and then waits, for the test to do something meanwhile. */
export interface Held {
  readonly handler: Handler;
  /** Resolves when the request is in the handler. */
  readonly inside: Promise<void>;
  goOn(): void;
}

/** @param goesOn what the handler does after it has waited, with the session that it saw */
export function held(goesOn: (ctx: Context, session: any) => unknown = () => undefined): Held {
  let enter: () => void = () => undefined;
  let goOn: () => void = () => undefined;
  const inside = new Promise<void>((resolve) => (enter = resolve));
  const released = new Promise<void>((resolve) => (goOn = resolve));
  return {
    async handler(ctx) {
      const session = (await ctx.session) as Record<string, unknown>;
      void session["userId"];
      enter();
      await released;
      await goesOn(ctx, session);
      ctx.body ??= {};
    },
    inside,
    goOn: () => {
      goOn();
    },
  };
}

import type { Context, Next } from "koa";
import type { AtOnce } from "./at-once.js";
import { answerProblem, BridgeError } from "./errors.js";

/**
 * Runs the bridge's own work around a handler. What the bridge itself has to refuse is answered with a
 * problem document, after taking back every header that was set meanwhile: a refused request changes no
 * cookie. The handler's own error passes through; what else failed is told to the operator.
 */
export async function answering(
  ctx: Context,
  next: Next,
  listener: { tell(error: Error): void; refused(error: BridgeError): void },
  work: (next: Next) => AtOnce<void>,
): Promise<void> {
  const { headers } = ctx.response;
  let handler: { error: unknown } | undefined;
  try {
    await work(async () => {
      try {
        await next();
      } catch (error) {
        handler = { error };
        throw error;
      }
    });
  } catch (error) {
    if (handler !== undefined) {
      if (error !== handler.error) listener.tell(error as Error);
      throw handler.error;
    }
    if (!(error instanceof BridgeError) || ctx.headerSent) throw error;
    for (const name of Object.keys(ctx.response.headers)) ctx.remove(name);
    for (const [name, value] of Object.entries(headers)) {
      if (value !== undefined) ctx.set(name, typeof value === "number" ? String(value) : value);
    }
    if (error.status >= 500) ctx.app.emit("error", error, ctx);
    listener.refused(error);
    answerProblem(ctx, error);
  }
}

import type { Context } from "koa";
import type { Mode } from "./mode.js";
import { OptionsReader } from "./options.js";

/** What is asked of a client of OpenFeature's server SDK. */
export interface OpenFeatureClient<EvaluationContext> {
  getStringDetails(
    flagKey: string,
    defaultValue: string,
    context?: EvaluationContext,
  ): Promise<{
    value: string;
    errorCode?: string | undefined;
    errorMessage?: string | undefined;
  }>;
}

export interface OpenFeatureModeOptions<EvaluationContext> {
  /** The key of a flag whose variants are modes. Default `session-bridge-mode`. */
  flag?: string;
  /** Whom the flag is evaluated for. */
  context?: (ctx: Context) => EvaluationContext;
}

/**
 * For the option `mode`: asks a flag of OpenFeature once for each request. It rejects when the flag is
 * missing or its provider is away, which leaves the mode at the last one that was given.
 *
 * @throws TypeError that lists every invalid option
 */
export function openFeatureMode<EvaluationContext>(
  client: OpenFeatureClient<EvaluationContext>,
  options: OpenFeatureModeOptions<EvaluationContext> = {},
): (ctx: Context) => Promise<Mode> {
  const reader = new OptionsReader("openFeatureMode");
  if (typeof (client as typeof client | undefined)?.getStringDetails !== "function") {
    reader.problem("client", "must be a client of OpenFeature's server SDK");
  }
  const raw = reader.object("options", options, ["flag", "context"]);
  const flag = reader.string("flag", raw["flag"]) ?? "session-bridge-mode";
  const context = reader.function<((ctx: Context) => EvaluationContext) | undefined>(
    "context",
    raw["context"],
    undefined,
  );
  reader.finish();
  return async (ctx) => {
    // No default: it would hide that nobody knows.
    const { value, errorCode, errorMessage } = await client.getStringDetails(
      flag,
      "",
      context?.(ctx),
    );
    if (errorCode !== undefined) {
      throw new Error(`the flag ${flag} has no value: ${errorMessage ?? errorCode}`);
    }
    return value as Mode;
  };
}

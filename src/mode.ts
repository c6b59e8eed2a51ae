import type { Context } from "koa";
import type { OptionsReader } from "./options.js";

export const modes = ["observe", "bridge", "drain", "tokens"] as const;

/**
 * The flag of the migration. Every mode accepts tokens. `observe` only counts cookies, `bridge` upgrades
 * their sessions, `drain` gives new sessions no cookie, `tokens` refuses cookies.
 */
export type Mode = (typeof modes)[number];

/** A mode, or a function that is asked once for each request. */
export type ModeOption = Mode | ((ctx: Context) => Mode | Promise<Mode>);

/** The environment variable that sets the mode where the option does not. */
export const modeVariable = "SESSION_BRIDGE_MODE";

export interface ModeFlag {
  of(ctx: Context): Promise<Mode>;
  /** The mode of the latest request. */
  readonly current: Mode;
}

const isMode = (value: unknown): value is Mode => modes.includes(value as Mode);
const expected = `one of ${modes.join(", ")}`;

/** Reads the option, else the environment variable, else `bridge`. */
export function readMode(
  reader: OptionsReader,
  option: unknown,
  environment: string | undefined,
): ModeOption {
  if (option === undefined) {
    if (environment === undefined || environment === "") return "bridge";
    if (isMode(environment)) return environment;
    reader.problem("mode", `the environment variable ${modeVariable} must be ${expected}`);
    return "bridge";
  }
  const is = (value: unknown) => isMode(value) || typeof value === "function";
  return reader.optional<ModeOption>("mode", option, is, `${expected}, or a function`, "bridge");
}

/**
 * A function that fails or gives no mode (a flag service that is away) leaves the mode at the last one
 * it gave, or `bridge`: nobody is logged out by it.
 */
export function createModeFlag(option: ModeOption, warn: (error: Error) => void): ModeFlag {
  let current: Mode = typeof option === "function" ? "bridge" : option;
  return {
    get current() {
      return current;
    },
    async of(ctx) {
      if (typeof option !== "function") return option;
      try {
        const mode: unknown = await option(ctx);
        if (isMode(mode)) return (current = mode);
        warn(new TypeError(`options.mode gave no mode: it must give ${expected}`));
      } catch (error) {
        warn(error as Error);
      }
      return current;
    },
  };
}

import type { Context } from "koa";
import { type AtOnce, goOn } from "./at-once.js";
import type { Brownout } from "./brownout.js";
import type { FleetFlag } from "./mode-poll.js";
import { describe, type OptionsReader } from "./options.js";
import { tellRarely } from "./tell-rarely.js";

export const modes = ["observe", "bridge", "drain", "tokens"] as const;

/**
 * The flag of the migration. Every mode accepts tokens. `observe` only counts cookies, `bridge` upgrades
 * their sessions, `drain` gives new sessions no cookie, `tokens` refuses cookies.
 */
export type Mode = (typeof modes)[number];

/** A mode, or a function that is asked once for each request. */
export type ModeOption = Mode | ((ctx: Context) => Mode | Promise<Mode>);

/** Where a process takes its mode from. */
export type ModeOrigin = "option" | "function" | "environment" | "database";

/** The mode as the application gives it; undefined leaves it to the flag in PostgreSQL. */
export interface GivenMode {
  readonly from: ModeOrigin;
  readonly mode: ModeOption | undefined;
}

/** What holds while nobody has set the mode. */
export const defaultMode: Mode = "bridge";

/** The environment variable that sets the mode where the option does not. */
export const modeVariable = "SESSION_BRIDGE_MODE";

export interface ModeFlag {
  of(ctx: Context): AtOnce<Mode>;
  /** The mode of the latest request. */
  readonly current: Mode;
  /** The same, once the flag in PostgreSQL has been seen, for who asks without a request. */
  seen(): Promise<Mode>;
  readonly from: ModeOrigin;
  /** Which brownout, if any, is on or to come. */
  readonly brownout: Brownout | undefined;
  close(): void;
}

export const isMode = (value: unknown): value is Mode => modes.includes(value as Mode);
const expected = `one of ${modes.join(", ")}`;

/** Reads the option, else the environment variable. */
export function readMode(
  reader: OptionsReader,
  option: unknown,
  environment: string | undefined,
): GivenMode {
  if (option === undefined) {
    if (environment === undefined || environment === "")
      return { from: "database", mode: undefined };
    if (isMode(environment)) return { from: "environment", mode: environment };
    const given = JSON.stringify(environment.slice(0, 40));
    reader.problem(
      "mode",
      `the environment variable ${modeVariable} must be ${expected}, got ${given}`,
    );
  }
  if (typeof option === "function") return { from: "function", mode: option as ModeOption };
  const mode = reader.optional("mode", option, isMode, `${expected}, or a function`, defaultMode);
  return { from: "option", mode };
}

const answersCountForMs = 60_000;

/**
 * A function that fails or gives no mode (a flag service that is away) leaves the mode at the last one
 * it gave, or `bridge`, and so does a database that is away: nobody is logged out by it. Of several modes
 * that a function gave in its last minute it is the mildest, which comes first in {@link modes}. Of its
 * failures `warn` is told each message once a minute.
 */
export function createModeFlag(
  given: GivenMode,
  fleet: FleetFlag,
  warn: (error: Error) => void,
  now: () => Date,
): ModeFlag {
  const tell = tellRarely(warn, now);
  const { mode: option, from } = given;
  let latest: Mode = typeof option === "string" ? option : defaultMode;
  /** When the function last gave each mode. */
  const answers = new Map<Mode, number>();
  const ofFleet = () => (isMode(fleet.mode) ? fleet.mode : defaultMode);

  async function ask(option: Exclude<ModeOption, Mode>, ctx: Context): Promise<Mode> {
    try {
      const mode: unknown = await option(ctx);
      if (isMode(mode)) {
        answers.set(mode, now().getTime());
        return mode;
      }
      const given = describe(mode);
      tell(new TypeError(`options.mode gave no mode: it must give ${expected}, got ${given}`));
    } catch (error) {
      tell(error);
    }
    return fallback();
  }

  // A function may answer requests differently: none may get a harsher mode than another got lately.
  function fallback(): Mode {
    const newest = Math.max(...answers.values());
    const isLate = (at = -Infinity) => newest - at <= answersCountForMs;
    return modes.find((mode) => answers.has(mode) && isLate(answers.get(mode))) ?? latest;
  }

  const current = () => (option === undefined ? ofFleet() : latest);

  return {
    from,
    get current() {
      return current();
    },
    async seen() {
      await fleet.follow();
      return current();
    },
    get brownout() {
      return fleet.brownout;
    },
    of(ctx) {
      // Brownouts are set there in any case.
      const following = fleet.follow();
      if (typeof option === "string") return option;
      if (option === undefined) return goOn(following, ofFleet);
      return ask(option, ctx).then((mode) => (latest = mode));
    },
    close: () => {
      fleet.close();
    },
  };
}

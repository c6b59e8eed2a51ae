import { hostname, userInfo } from "node:os";
import { UsageError } from "./command.js";

/** The options that say who changes the flag, and why. */
export const operatorOptions = { by: { type: "string" }, reason: { type: "string" } } as const;

export const operatorHelp = `  --reason    why, for the audit trail (up to 200 characters)
  --by        who, for the audit trail (up to 80); default: user@host of this machine`;

/** Who changes the flag, and why. */
export interface Operator {
  readonly by: string;
  readonly reason: string | undefined;
}

export function readOperator(given: {
  by?: string | undefined;
  reason?: string | undefined;
}): Operator {
  return {
    by: words("--by", given.by, 80) ?? `${userName()}@${hostname()}`.slice(0, 80),
    reason: words("--reason", given.reason, 200),
  };
}

function words(option: string, given: string | undefined, limit: number): string | undefined {
  if (given === undefined) return undefined;
  const text = given.trim();
  if (text === "") throw new UsageError(`${option} must not be empty.`);
  if (text.length > limit)
    throw new UsageError(`${option} must have at most ${limit} characters, has ${text.length}.`);
  if (/\p{Control}|\p{Surrogate}/u.test(text))
    throw new UsageError(`${option} must be one line without control characters.`);
  return text;
}

// A container's user may have no name.
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return process.env["USER"] ?? String(process.getuid?.() ?? "somebody");
  }
}

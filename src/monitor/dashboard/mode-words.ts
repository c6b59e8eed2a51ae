import { type Mode, modes, type ModeOrigin, modeVariable } from "../../mode.js";
import type { MigrationStatus } from "../migration-status.js";
import { lookBackInDays } from "../verdict.js";
import { percent, plural } from "./format.js";

/** What a mode is, in a few words. */
export const modeInShort: Readonly<Record<Mode, string>> = {
  observe: "Cookies are counted, nothing else",
  bridge: "Clients with a cookie are offered tokens",
  drain: "New sessions get tokens and no cookie",
  tokens: "Cookies are refused",
};

/** The modes in the order of a migration. */
export const stageOf = (mode: Mode): number => modes.indexOf(mode);

/** Where the mode comes from when this page cannot change it, and how it is changed there. */
export function elsewhere(from: ModeOrigin): string | undefined {
  switch (from) {
    case "database":
      return undefined;
    case "environment":
      return `The mode of this process comes from the environment variable ${modeVariable}. Change it there and restart the processes one by one; or unset it, and the mode is set here.`;
    case "function":
      return "The mode of this process comes from the function that the application gives as option mode. Change it where that function reads it (your feature flags); or leave the option out, and the mode is set here.";
    case "option":
      return "The mode of this process is written into the application as option mode. Change it there and deploy; or leave the option out, and the mode is set here.";
  }
}

/** What setting a mode does, and to whom. */
export function effects(to: Mode, from: Mode, status: MigrationStatus): readonly string[] {
  const back = stageOf(to) < stageOf(from);
  const leaving = from === "tokens" ? [afterTokens] : [];
  switch (to) {
    case "observe":
      return [
        "Clients with a cookie go on as before, and are offered no tokens any more.",
        "Clients with tokens go on with them.",
        ...(from === "tokens"
          ? [
              afterTokens,
              "The old store, which was not written meanwhile, is asked again: cookies whose row has expired there are refused. Set bridge instead to avoid that.",
            ]
          : ["Nobody is logged out."]),
      ];
    case "bridge":
      return [
        "Clients with a cookie go on as before, and are offered tokens with their next request.",
        "New sessions get a cookie and tokens. Clients that do not know tokens go on with the cookie.",
        ...(back ? leaving : []),
        "Nobody is logged out.",
      ];
    case "drain":
      return [
        "New sessions get tokens and no cookie: a client that takes no tokens cannot log in any more.",
        "Cookies from before are accepted and offered tokens, but never renewed: the last one ends within its lifetime.",
        ...(from === "tokens"
          ? leaving
          : [`Of the last ${lookBackInDays} days, ${byCookie(status)}`]),
      ];
    case "tokens":
      return [
        "Cookies are refused and cleared. Whoever has a cookie and no tokens is logged out: the one step that does that.",
        cookieSessions(status),
        "The old store is not written any more.",
        "Clients with tokens notice nothing.",
      ];
  }
}

const afterTokens =
  "Cookies are accepted again. Those that were cleared meanwhile do not come back: their users are out already.";

function byCookie({ days }: MigrationStatus): string {
  const { legacy, share } = recentShare(days);
  const requests = plural(legacy, "request");
  return share === undefined
    ? "no request with a session has been counted."
    : `${requests} came by cookie alone: ${percent(share)} of those with a session.`;
}

function cookieSessions({ sources }: MigrationStatus): string {
  const remaining = sources.reduce((sum, source) => sum + source.remaining, 0);
  const unseen = sources.reduce((sum, { notUpgraded }) => sum + (notUpgraded?.count ?? 0), 0);
  const uncounted = sources.filter(({ notUpgraded }) => notUpgraded === null);
  const rest =
    uncounted.length === 0
      ? ""
      : ` Those of ${uncounted.map(({ name }) => name).join(", ")} that have not come back cannot be counted.`;
  return `${plural(remaining, "live session is", "live sessions are")} opened by a cookie alone, and ${plural(unseen, "old session has", "old sessions have")} not come back since the bridge is there.${rest}`;
}

/** The share of requests by cookie alone among those with a session, lately; undefined when there are none. */
export function recentShare(days: MigrationStatus["days"]) {
  const recent = days.slice(-lookBackInDays);
  const legacy = recent.reduce((sum, day) => sum + day.legacy, 0);
  const all = recent.reduce((sum, day) => sum + day.legacy + day.bearer, 0);
  return { legacy, share: all === 0 ? undefined : legacy / all };
}

/** Why to think twice about a mode; undefined when nothing speaks against it. */
export function warning(to: Mode, from: Mode, { verdict }: MigrationStatus): string | undefined {
  if (stageOf(to) <= stageOf(from) || to === "bridge") return undefined;
  if (verdict.answer === "safe to drop") return undefined;
  if (verdict.answer === "safe to drain") {
    return to === "drain"
      ? undefined
      : "The verdict is “safe to drain”, not “safe to drop”: this leaves out drain, in which the cookies run out by themselves.";
  }
  return "The verdict is “not yet”: somebody would be logged out, or could not log in.";
}

import type { BridgeSettings, InspectedCookie, ProbedStore } from "../inspect.js";
import { OptionsReader } from "../options.js";
import { readTokenOptions } from "../tokens/options.js";
import type { ProcessStatus } from "../monitor/migration-status.js";
import { reasonOf } from "./connection.js";
import { type Finding, ok, problem, warning } from "./finding.js";
import { time } from "./text.js";

/** The application's own settings, beside what its processes told. */
export function checkSettings(
  settings: BridgeSettings,
  processes: readonly ProcessStatus[],
): Finding[] {
  const { hasKeys, isBehindProxy, connectionTimeoutMs, queryTimeoutMs, secureSources } = settings;
  const findings: Finding[] = [
    hasKeys
      ? ok("app.keys", "set")
      : problem(
          "app.keys",
          "not set: signed cookies cannot be verified",
          "Set app.keys as in the running application.",
        ),
  ];
  const unset = [
    ...(connectionTimeoutMs === null ? ["connectionTimeoutMillis"] : []),
    ...(queryTimeoutMs === null ? ["query_timeout"] : []),
  ];
  findings.push(
    unset.length === 0
      ? ok(
          "pool",
          `gives up after ${connectionTimeoutMs} ms (connection) and ${queryTimeoutMs} ms (query)`,
        )
      : warning(
          "pool",
          `${unset.join(" and ")} not set: a database that hangs makes requests hang`,
          "Set them on the pool, such as { connectionTimeoutMillis: 2000, query_timeout: 5000 }.",
        ),
  );
  const isSeenBehindProxy = processes.some((process) => process.isBehindProxy);
  if (secureSources.length > 0 && !isBehindProxy && !isSeenBehindProxy)
    findings.push(
      warning(
        "proxy",
        `the cookie of ${secureSources.join(", ")} is secure, and app.proxy is false`,
        "Behind a proxy that ends TLS, koa then takes every request for HTTP, and can neither set, renew nor clear such a cookie: set app.proxy = true there. Where Node.js itself speaks TLS, all is well.",
      ),
    );
  return findings;
}

/** Whether the application's own old stores answer. */
export function checkOldStores(probed: readonly ProbedStore[]): Finding[] {
  return probed.map(({ source, error }) =>
    error === undefined
      ? ok("old store", `that of ${source} answers`)
      : problem(
          "old store",
          `that of ${source} does not answer: ${reasonOf(error)}`,
          "Its sessions cannot be read: mend the store, or the application's settings for it.",
        ),
  );
}

/** The keys of SESSION_SIGNING_KEYS, without a word of what is in them. */
export function checkSigningKeys(given: string, processes: readonly ProcessStatus[]): Finding {
  const name = "SESSION_SIGNING_KEYS";
  const advice = 'It must be a JSON array: "[$(koa-session-bridge keygen)]".';
  let keys: unknown;
  try {
    keys = JSON.parse(given);
  } catch {
    // What the parser says quotes the text.
    return problem("keys", `${name} is not JSON`, advice);
  }
  const reader = new OptionsReader(name);
  const ring = readTokenOptions(reader, "", { signingKeys: keys }).keys;
  try {
    reader.finish();
  } catch (error) {
    return problem("keys", (error as Error).message, advice);
  }
  const list = ring.map(({ kid, alg }) => `${kid} (${alg})`).join(", ");
  const stranger = processes.find(
    ({ signingKeys: [first] }) => first !== undefined && !ring.some(({ kid }) => kid === first),
  );
  if (stranger !== undefined)
    return warning(
      "keys",
      `${name} has ${list}, but ${stranger.host}:${stranger.pid} signs with ${stranger.signingKeys[0]}`,
      "Is this the environment of the running application?",
    );
  return ok("keys", `${name}: ${list}; the first signs`);
}

/** Why a cookie is accepted or not, from a `Cookie` header; never its value. */
export function checkCookies(
  header: string,
  inspected: readonly InspectedCookie[],
  mode: string,
): Finding[] {
  const seen = header
    .split(";")
    .map((pair) => pair.split("=", 1)[0]?.trim() ?? "")
    // What stands without a name may be a value.
    .filter((name, index) => name !== "" && header.split(";")[index]?.includes("="))
    .map((name) => (name.length > 60 ? `${name.slice(0, 60)}…` : name));
  return inspected.map((cookie) => checkCookie(cookie, seen, mode));
}

function checkCookie(cookie: InspectedCookie, seen: readonly string[], mode: string): Finding {
  const { source, cookieNames, answer, isLinked, isAdopted, expiresAt } = cookie;
  const until = expiresAt === null ? "" : `, expires on ${time(expiresAt)}`;
  const upgraded = isLinked
    ? `upgraded, ${isAdopted ? "its client uses tokens" : "its tokens have not been used yet"}`
    : "not upgraded yet";
  switch (answer) {
    case "accepted":
      if (mode === "tokens")
        return problem(
          "cookie",
          `${source}: good (${upgraded}${until}), but mode tokens refuses every cookie`,
          "Going back to drain would accept it again: koa-session-bridge mode drain",
        );
      return ok("cookie", `${source}: accepted, ${upgraded}${until}`);
    case "not presented":
      return problem(
        "cookie",
        `${source}: not presented. Seen: ${seen.join(", ") || "no name=value"}; expected: ${cookieNames.join(", ")}`,
        "Look at the cookie's name, and at its domain, path and secure: did the browser send it to this address?",
      );
    case "unverified": {
      const signature = cookieNames.find((name) => name.endsWith(".sig"));
      const isMissing = signature !== undefined && !seen.includes(signature);
      return isMissing
        ? problem(
            "cookie",
            `${source}: its signature ${signature} is missing`,
            "Paste both cookies; a proxy must let both through.",
          )
        : problem(
            "cookie",
            `${source}: its signature is wrong, or it cannot be decoded`,
            "Are app.keys those that it was signed with (old ones behind the new one)? Was the whole value pasted?",
          );
    }
    case "unknown":
      return problem(
        "cookie",
        `${source}: unknown to the old store, or expired${until}`,
        "Is it the same old store as in the running application? Else the user has to log in.",
      );
    case "ended":
      return problem(
        "cookie",
        `${source}: its session has ended, by a logout or a revocation`,
        "The user has to log in.",
      );
    case "retired":
      return problem(
        "cookie",
        `${source}: retired: its client uses tokens, and has for longer than cookieLingerInSeconds`,
        "This client has tokens; why did it come without them?",
      );
  }
}

import type { BridgeEvents } from "../events.js";
import type { Labels } from "./labels.js";

/**
 * What is counted, under the names that `"sessionBridgeHit"` and the exporters give it. `source` and
 * `outcome` say by which attributes; `outcome` is the last of them.
 */
export const counters = {
  requests: { help: "Requests served", attributes: ["mode", "credential"] },
  legacy_cookies: {
    help: "Legacy cookies presented, by what became of them",
    attributes: ["source", "outcome"],
  },
  brownouts: {
    help: "Legacy cookies that a brownout had refused",
    attributes: ["source"],
  },
  upgrades: {
    help: "Cookie sessions that became token sessions",
    attributes: ["source"],
  },
  offers: {
    help: "Responses that carried tokens to a client that came with its cookie",
    attributes: ["source"],
  },
  adoptions: {
    help: "Upgraded sessions whose client used a token for the first time",
    attributes: ["source"],
  },
  refreshes: { help: "Refresh tokens presented, by what they got", attributes: ["result"] },
  refused_tokens: { help: "Access tokens refused, by the reason", attributes: ["reason"] },
  refusals: {
    help: "Requests that were answered with a problem document, by its code",
    attributes: ["code"],
  },
  merged_commits: {
    help: "Commits that merged what somebody else had changed meanwhile",
    attributes: [],
  },
  errors: { help: "Failures beside a request that went on", attributes: [] },
} as const satisfies Record<string, { help: string; attributes: readonly string[] }>;

export type Counter = keyof typeof counters;

/** One thing that happened; `values` are those of the counter's attributes, in their order. */
export interface Counted {
  readonly counter: Counter;
  readonly values: readonly string[];
  /** The application's own, for cookies that were presented. */
  readonly labels: Labels;
}

const none: Labels = {};

/** Calls `count` for whatever the bridge tells that is counted. */
export function onCounted(
  bridge: {
    on<Name extends keyof BridgeEvents>(
      name: Name,
      listener: (...args: BridgeEvents[Name]) => void,
    ): void;
  },
  count: (counted: Counted) => void,
): void {
  const add = (counter: Counter, values: readonly string[], labels = none) => {
    count({ counter, values, labels });
  };
  bridge.on("request", ({ mode, credential }) => {
    add("requests", [mode, credential]);
  });
  bridge.on("legacy-cookie", ({ source, outcome, labels, isBrownout }) => {
    if (isBrownout) add("brownouts", [source], labels);
    else add("legacy_cookies", [source, outcome], labels);
  });
  bridge.on("upgraded", ({ source }) => {
    add("upgrades", [source]);
  });
  bridge.on("offered", ({ source }) => {
    add("offers", [source]);
  });
  bridge.on("adopted", ({ source }) => {
    add("adoptions", [source]);
  });
  bridge.on("refreshed", ({ result }) => {
    add("refreshes", [result]);
  });
  bridge.on("refresh-refused", ({ reason }) => {
    add("refreshes", [reason]);
  });
  bridge.on("token-refused", ({ reason }) => {
    add("refused_tokens", [reason]);
  });
  bridge.on("refused", ({ code }) => {
    add("refusals", [code]);
  });
  bridge.on("merged", () => {
    add("merged_commits", []);
  });
  bridge.on("error", () => {
    add("errors", []);
  });
}

import type { SessionBridge } from "../session-bridge.js";
import { type Counted, counters } from "./counters.js";

/** What the exporters ask of a bridge. */
export type ObservedBridge = Pick<SessionBridge, "on" | "sources" | "flag">;

/** Upper limits of the time that the bridge adds to a request: 0.1 ms to 1 s. */
export const addedSecondsBuckets = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
];

/** What is measured beside the counters, in the exporters' words. */
export const helpOf = {
  addedSeconds: "Time that the bridge added to requests, beside the application's own handlers",
  mode: "1 for the mode that the process is in, 0 for the others",
  brownout: "Share of legacy cookies that a brownout refuses now; 0 between its windows",
};

/** The counter's own attributes, by their names. */
export function attributesOf({ counter, values }: Counted): Record<string, string> {
  return Object.fromEntries(
    counters[counter].attributes.map((name, index) => [name, values[index] ?? ""]),
  );
}

import { type Brownout, nextChange, windowAt } from "../brownout.js";
import { span, time } from "./text.js";

/** What a brownout does and when, in one sentence. */
export function describeBrownout(brownout: Brownout, now: Date): string {
  const { share, everyInSeconds, forInSeconds, until } = brownout;
  const often =
    everyInSeconds === null || forInSeconds === null
      ? ""
      : `, for ${span(forInSeconds)} every ${span(everyInSeconds)}`;
  const end = until === null ? "until it is stopped" : `until ${time(until)}`;
  return `${shareText(share)} of the cookies${often}, ${end}; ${stateOf(brownout, now)}`;
}

/** A share as an operator gave it, such as 5 %. */
export const shareText = (share: number) => `${Number((share * 100).toPrecision(4))} %`;

function stateOf(brownout: Brownout, now: Date): string {
  const next = nextChange(brownout, now);
  const when = next === null ? "" : `${clock(next)} (in ${span((+next - +now) / 1000)})`;
  if (windowAt(brownout, now) !== undefined)
    return next === null ? "on now" : `on now, until ${when}`;
  return next === null ? "over" : `off now, on again at ${when}`;
}

const clock = (date: Date) => `${date.toISOString().slice(11, 16)} UTC`;

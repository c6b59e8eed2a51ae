import { type Mode, modes, type ModeOrigin } from "../../mode.js";
import type { MigrationStatus } from "../migration-status.js";
import { lookBackInDays } from "../verdict.js";
import { followers } from "./followers.js";
import { capital, count, dateOf, duration, moment, percent, plural } from "./format.js";
import { markup, type Markup } from "./markup.js";
import { modeInShort, recentShare, stageOf } from "./mode-words.js";

/** Where the migration stands: its four stages, who set the mode, who follows it, brownouts. */
export function modeSection(status: MigrationStatus, mode: Mode, from: ModeOrigin): Markup {
  return markup`
  <section class="card mode" aria-labelledby="mode-title">
    <h2 id="mode-title">Mode</h2>
    <p class="visually-hidden" data-part="mode-now" aria-live="polite">The mode is ${mode}.</p>
    <div data-part="mode">
      <ol class="stages">${modes.map((each) => stage(each, mode))}</ol>
      <p>${origin(status, from)} ${followers(status, mode, from)}</p>
      ${brownout(status)}
    </div>
  </section>`;
}

function stage(each: Mode, mode: Mode): Markup {
  const place = Math.sign(stageOf(each) - stageOf(mode));
  const name = ["past", "now", "ahead"][place + 1] ?? "";
  return markup`<li class="${name}"${place === 0 && markup` aria-current="step"`}><strong>${each}</strong> <span>${modeInShort[each]}</span></li>`;
}

function origin({ changes }: MigrationStatus, from: ModeOrigin): Markup {
  switch (from) {
    case "environment":
      return markup`Set by the environment variable of this process.`;
    case "function":
      return markup`Given by the application’s own function.`;
    case "option":
      return markup`Written into the application.`;
    case "database": {
      if (changes.length === 0) return markup`Nobody has set it: this is the default.`;
      const change = changes.find(({ mode, from }) => mode !== from);
      if (change === undefined) return markup`Set for the whole fleet.`;
      return markup`Set for the whole fleet by <b>${change.changedBy}</b> on ${moment(change.changedAt)}${change.reason !== null && markup`: “${change.reason}”`}.`;
    }
  }
}

function brownout({ brownout, at }: MigrationStatus): Markup | undefined {
  if (brownout === null) return undefined;
  const { share, everyInSeconds, forInSeconds, startsAt, until, isOn, id } = brownout;
  const place = isOn ? "on" : startsAt > at ? "to come" : "on, and pauses now";
  const rhythm =
    everyInSeconds !== null &&
    forInSeconds !== null &&
    markup`, for ${duration(forInSeconds)} every ${duration(everyInSeconds)}`;
  return markup`<div class="notice warn">
        <p><strong>A brownout is ${place}.</strong> It refuses ${percent(share)} of the cookies${rhythm}, from ${moment(startsAt)} ${until === null ? "until somebody ends it" : markup`until ${moment(until)}`} <span class="quiet">(${id})</span>.</p>
      </div>`;
}

/** Whether the next mode would log anybody out, why, and when it will not. */
export function verdictSection({ verdict }: MigrationStatus): Markup {
  const { answer, reasons, estimatedAt } = verdict;
  const isGood = answer !== "not yet";
  return markup`
  <section class="card verdict" aria-labelledby="verdict-title">
    <h2 id="verdict-title">Verdict</h2>
    <div class="${isGood ? "good" : "waiting"}" data-part="verdict">
      <p class="answer" aria-live="polite">${sign(isGood)}<span>${capital(answer)}</span></p>
      <ul>${reasons.map((reason) => markup`<li>${reason}</li>`)}</ul>
      ${estimatedAt !== null && markup`<p class="estimate">Expected around <strong>${dateOf(estimatedAt)}</strong>, if it goes on like this.</p>`}
    </div>
  </section>`;
}

const sign = (isGood: boolean) =>
  markup`<svg aria-hidden="true" width="28" height="28" viewBox="0 0 28 28"><circle cx="14" cy="14" r="13"/><path d="${isGood ? "M8.5 14.5l4 4 7.5-8.5" : "M14 7.5v7l4.5 3"}"/></svg>`;

/** The few numbers to look at first. */
export function numbersSection(status: MigrationStatus): Markup {
  const { legacy, share } = recentShare(status.days);
  const sum = (of: (source: MigrationStatus["sources"][number]) => number) =>
    status.sources.reduce((total, source) => total + of(source), 0);
  const live = sum((source) => source.live);
  const adopted = sum((source) => source.adopted);
  const unseen = sum(({ notUpgraded }) => notUpgraded?.count ?? 0);
  const isCounted = status.sources.every(({ notUpgraded }) => notUpgraded !== null);
  return markup`
  <section aria-labelledby="numbers-title">
    <h2 id="numbers-title" class="visually-hidden">In short</h2>
    <dl class="numbers" data-part="numbers">
      <div><dt>By cookie alone, ${lookBackInDays} days</dt><dd>${share === undefined ? "–" : percent(share)}</dd><dd class="quiet">${plural(legacy, "request")}</dd></div>
      <div><dt>Sessions that use tokens</dt><dd>${count(adopted)}</dd><dd class="quiet">of ${count(live)} upgraded</dd></div>
      <div><dt>Sessions on a cookie alone</dt><dd>${count(sum((source) => source.remaining) + unseen)}</dd><dd class="quiet">${isCounted ? `${count(unseen)} of them not upgraded` : "as far as they can be counted"}</dd></div>
      ${lastCookie(status)}
    </dl>
  </section>`;
}

// The table of sessions has the ends of the cookies that have come back.
function lastCookie({ sources, lastCookieExpiresAt: ends }: MigrationStatus): Markup {
  const isUnseen = ends !== null && !sources.some(({ lastExpiresAt: end }) => end && end >= ends);
  const [title, meaning] = isUnseen
    ? ["Cookies may come until", "those that have not come back"]
    : ["Last cookie ends", ends === null ? "none, or not known" : "that tokens have not replaced"];
  return markup`<div><dt>${title}</dt><dd>${ends === null ? "–" : dateOf(ends)}</dd><dd class="quiet">${meaning}</dd></div>`;
}

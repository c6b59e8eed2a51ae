import { type Mode, modes, type ModeOrigin } from "../../mode.js";
import type { MigrationStatus } from "../migration-status.js";
import { dateOf, plural } from "./format.js";
import { markup, type Markup } from "./markup.js";
import { effects, elsewhere, modeInShort, stageOf, warning } from "./mode-words.js";

/** The most characters of a reason. */
export const maximumReasonLength = 200;

/** What an operator has chosen so far. */
export interface Choice {
  readonly mode: string;
  readonly reason: string;
}

/** The first step: chooses, and changes nothing. Or how the mode is changed where it comes from. */
export function chooseSection(from: ModeOrigin, choice: Choice): Markup {
  const how = elsewhere(from);
  return markup`
  <section class="card choose" aria-labelledby="choose-title">
    <h2 id="choose-title">Change the mode</h2>
    ${how === undefined ? chooseForm(choice) : markup`<p>${how}</p>`}
  </section>`;
}

function chooseForm({ mode, reason }: Choice): Markup {
  return markup`<form method="post" action="?" autocomplete="off">
      <input type="hidden" name="step" value="choose">
      <fieldset>
        <legend>New mode</legend>
        ${modes.map(
          (each) =>
            markup`<label class="option"><input type="radio" name="mode" value="${each}" required${each === mode && markup` checked`}> <span><strong>${each}</strong> <span class="quiet">${modeInShort[each]}</span></span></label>`,
        )}
      </fieldset>
      <label for="reason">Reason <span class="quiet">(for the audit trail)</span></label>
      <input id="reason" name="reason" value="${reason}" maxlength="${maximumReasonLength}">
      <button type="submit">Continue</button>
      <p class="quiet">Nothing changes yet: the next page asks.</p>
    </form>`;
}

/** The second step: says what the change does to whom; its button makes the change. */
export function confirmSection(
  change: {
    readonly from: Mode;
    readonly to: Mode;
    readonly reason: string;
    readonly operator: string;
    readonly seen: string;
    readonly token: string;
  },
  status: MigrationStatus,
): Markup {
  const { from, to, reason, operator, seen, token } = change;
  const hesitation = warning(to, from, status);
  const { brownout, processes, verdict } = status;
  const mayLockOut = stageOf(to) > stageOf(from) && stageOf(to) >= stageOf("drain");
  const others = processes.filter(({ modeFrom }) => modeFrom !== "database").length;
  return markup`
  <section class="card confirm" aria-labelledby="confirm-title">
    <h1 id="confirm-title">Change the mode from <em>${from}</em> to <em>${to}</em>?</h1>
    ${
      hesitation !== undefined &&
      markup`<div class="notice bad">
      <p><strong>${hesitation}</strong></p>
      <ul>${verdict.reasons.map((reason) => markup`<li>${reason}</li>`)}</ul>
      ${verdict.estimatedAt !== null && markup`<p>Expected around ${dateOf(verdict.estimatedAt)}.</p>`}
    </div>`
    }
    <h2>What it does</h2>
    <ul>${effects(to, from, status).map((effect) => markup`<li>${effect}</li>`)}
      <li>Processes follow within about two seconds; ${plural(processes.length, "is alive", "are alive")}${others > 0 && markup`, of which <strong>${others} will not follow</strong>: they do not take their mode from the database`}. You can change it again at any time.</li>
      ${brownout !== null && markup`<li>The brownout stays as it is.</li>`}
      ${mayLockOut && markup`<li>If this page knows you by your session cookie, you may not get in here any more: the command <code>koa-session-bridge mode</code> takes it back.</li>`}
    </ul>
    <h2>What the audit trail will say</h2>
    <p><b>${operator}</b>: ${from} → ${to}, ${reason === "" ? "without a reason" : markup`“${reason}”`}</p>
    <form method="post" action="?">
      <input type="hidden" name="step" value="flip">
      <input type="hidden" name="mode" value="${to}">
      <input type="hidden" name="reason" value="${reason}">
      <input type="hidden" name="seen" value="${seen}">
      <input type="hidden" name="token" value="${token}">
      <p class="actions"><button type="submit"${hesitation !== undefined && markup` class="risky"`}>Change to ${to}</button> <a href="?">Back, change nothing</a></p>
    </form>
  </section>`;
}

import { createHash } from "node:crypto";
import type { Mode, ModeOrigin } from "../../mode.js";
import type { MigrationStatus } from "../migration-status.js";
import { detailSections } from "./details.js";
import { type Choice, chooseSection } from "./flip-form.js";
import { timeOf } from "./format.js";
import { markup, Markup } from "./markup.js";
import { modeSection, numbersSection, verdictSection } from "./overview.js";
import { script } from "./script.js";
import { styles } from "./styles.js";

/** What the page tells of a request: that it was done, or why it was not. */
export interface Message {
  readonly tone: "good" | "bad";
  readonly text: string;
}

const hashOf = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** Nothing but this page's own style and script runs in it, and it talks to nobody but its own server. */
export const contentSecurityPolicy = [
  "default-src 'none'",
  `script-src ${hashOf(script)}`,
  `style-src ${hashOf(styles)}`,
  "img-src data:",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

const icon =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Cpath d='M3 23V9m26 14V9M3 20q13-14 26 0' fill='none' stroke='%230b7567' stroke-width='4' stroke-linecap='round'/%3E%3C/svg%3E";

/** The page that an operator watches. Without a status it says only what the message says. */
export function statusPage(view: {
  readonly status: MigrationStatus | undefined;
  /** The mode as this process, or the fleet's flag, has it. */
  readonly mode: Mode | undefined;
  readonly modeFrom: ModeOrigin;
  readonly isStale: boolean;
  readonly message: Message | undefined;
  readonly choice: Choice;
}): Markup {
  const { status, mode, modeFrom, isStale, message, choice } = view;
  const form = chooseSection(modeFrom, choice);
  return document(
    ["Session bridge", message],
    markup`
<header>
  <h1>Session bridge</h1>
  ${status !== undefined && freshness(status, isStale)}
</header>
<main id="main">
  ${notice(message)}
  ${status === undefined || mode === undefined ? form : sections(status, mode, modeFrom, form)}
</main>
<footer><p>Days are UTC. The page brings itself up to date while it is in view.</p><noscript><p>Without JavaScript: load it again for newer numbers.</p></noscript></footer>
<script>${new Markup(script)}</script>`,
  );
}

function sections(status: MigrationStatus, mode: Mode, from: ModeOrigin, form: Markup): Markup {
  return markup`
  ${modeSection(status, mode, from)}
  <div class="column">
    ${verdictSection(status)}
    ${numbersSection(status)}
  </div>
  ${form}
  ${detailSections(status, mode)}`;
}

/** The parts of the page that change by themselves; the script puts them in their places. */
export function fragment(status: MigrationStatus, mode: Mode, from: ModeOrigin): Markup {
  return markup`${freshness(status, false)}${sections(status, mode, from, markup``)}`;
}

/** The page that asks before it changes anything. */
export function confirmPage(section: Markup, message: Message | undefined): Markup {
  return document(
    ["Change the mode? · Session bridge", message],
    markup`
<header><p class="name">Session bridge</p></header>
<main id="main">
  ${notice(message)}
  ${section}
</main>`,
  );
}

const freshness = ({ at }: MigrationStatus, isStale: boolean) =>
  markup`<p class="freshness${isStale && " stale"}" data-part="freshness">${isStale ? "These numbers are from " : "Up to date at "}<time datetime="${at.toISOString()}">${timeOf(at)}</time></p>`;

const notice = (message: Message | undefined) =>
  message &&
  markup`<p class="notice ${message.tone}" role="${message.tone === "good" ? "status" : "alert"}">${message.text}</p>`;

// A message comes first in the title, which is what is read out when a page has been loaded.
function document([title, message]: [string, Message | undefined], body: Markup): Markup {
  const prefix = message === undefined ? "" : message.tone === "good" ? "Done · " : "Problem · ";
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${prefix}${title}</title>
<link rel="icon" href="${new Markup(icon)}">
<style>${new Markup(styles)}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>${body}
</body>
</html>
`;
}

import type { ModeChange } from "../../store/mode-log.js";
import { parseBrownout } from "../../brownout.js";
import type { LegacyOutcome } from "../../events.js";
import type { Mode } from "../../mode.js";
import type { MigrationStatus } from "../migration-status.js";
import { lookBackInDays } from "../verdict.js";
import { chart } from "./chart.js";
import { isBehind } from "./followers.js";
import { capital, count, dateOf, day, duration, moment, percent } from "./format.js";
import { type Content, markup, type Markup } from "./markup.js";
import { type Column, section, table } from "./tables.js";

/** Everything below the form: the curve and the tables. */
export function detailSections(status: MigrationStatus, mode: Mode): Markup {
  return markup`
  ${section("chart", "Requests", chart(status.days, status.changes), true)}
  ${section("sources", "Sessions", sources(status))}
  ${section("outcomes", "Cookies", outcomes(status))}
  ${section("stragglers", "Stragglers", stragglers(status))}
  ${section("refusals", "Refreshes and refusals", refusals(status))}
  ${section("processes", "Processes", processes(status, mode), true)}
  ${section("changes", "Audit trail", changes(status), true)}`;
}

type Source = MigrationStatus["sources"][number];

const measures: readonly { title: string; meaning: string; of: (source: Source) => Content }[] = [
  { title: "Upgraded", meaning: "token sessions of cookies", of: ({ live }) => count(live) },
  { title: "Adopted", meaning: "of those: use tokens", of: ({ adopted }) => count(adopted) },
  {
    title: "Remaining",
    meaning: "of those: on a cookie alone",
    of: ({ remaining }) => count(remaining),
  },
  {
    title: "Last cookie ends",
    meaning: "of the remaining",
    of: ({ remaining, withoutExpiry, lastExpiresAt }) => {
      if (withoutExpiry > 0) return "not known";
      return remaining > 0 && lastExpiresAt !== null ? dateOf(lastExpiresAt) : "–";
    },
  },
  {
    title: "Not upgraded",
    meaning: "in the old store, not come back",
    of: ({ notUpgraded }) => (notUpgraded === null ? "not countable" : count(notUpgraded.count)),
  },
];

function sources({ sources }: MigrationStatus): Markup {
  return table(
    "Live sessions by source",
    [
      { title: "Sessions", cell: ({ title, meaning }) => explained(title, meaning) },
      ...sources.map((source) => ({
        title: broken(source.name),
        isNumber: true,
        cell: ({ of }: (typeof measures)[number]) => of(source),
      })),
    ],
    sources.length === 0 ? [] : measures,
    "No session has been upgraded yet.",
  );
}

const outcomeMeanings: Readonly<Record<LegacyOutcome, string>> = {
  hit: "it alone opened a session",
  missed: "unknown, expired or ended",
  unverified: "wrong or missing signature",
  retired: "its client moved to tokens",
  redundant: "a token came with it",
  dropped: "refused by mode tokens",
};

function outcomes({ legacyCookies, brownouts }: MigrationStatus): Markup {
  const names = Object.keys(legacyCookies);
  const rows = (Object.keys(outcomeMeanings) as LegacyOutcome[]).map((outcome) => ({
    name: capital(outcome),
    meaning: outcomeMeanings[outcome],
    of: (source: string) => legacyCookies[source]?.[outcome] ?? 0,
  }));
  const brownout = {
    name: "Brownout",
    meaning: "refused by a brownout",
    of: (source: string) => brownouts[source] ?? 0,
  };
  return table(
    "Cookies presented in 30 days, by what became of them",
    [
      { title: "Outcome", cell: ({ name, meaning }) => explained(name, meaning) },
      ...names.map((source) => ({
        title: broken(source),
        isNumber: true,
        cell: ({ of }: typeof brownout) => count(of(source)),
      })),
    ],
    names.length === 0 ? [] : [...rows, brownout],
    "No cookie has been presented yet.",
  );
}

const explained = (title: string, meaning: string) =>
  markup`${title} <span class="quiet explained">${meaning}</span>`;

/** A source's name, which may break after its system. */
const broken = (name: string) =>
  markup`${name.split(":").map((part, index) => [index > 0 && markup`:<wbr>`, part])}`;

function stragglers({ stragglers }: MigrationStatus): Markup {
  const most = Math.max(1, ...stragglers.map(({ hits }) => hits));
  return table(
    `Who came by cookie alone, last ${lookBackInDays} days`,
    [
      {
        title: "Client",
        cell: ({ labels, source }) => {
          const all = Object.entries(labels);
          const shown = all.map(
            ([name, value]) =>
              markup`<span class="label"><span>${name}</span> ${value.trim() === "" ? markup`<em>(empty)</em>` : value}</span> `,
          );
          return markup`${all.length === 0 ? "without labels" : shown}<span class="quiet explained source">${source}</span>`;
        },
      },
      {
        title: "Requests",
        isNumber: true,
        cell: ({ hits }) =>
          markup`${count(hits)}<svg class="bar" aria-hidden="true" width="100%" height="4"><rect width="${((hits / most) * 100).toFixed(1)}%" height="4" rx="2"/></svg>`,
      },
      {
        title: "Last seen",
        cell: ({ lastDay }) => markup`<time datetime="${lastDay}">${day(lastDay)}</time>`,
      },
    ],
    stragglers,
    `Nobody has come by cookie alone in the last ${lookBackInDays} days.`,
  );
}

const refreshMeanings: Readonly<Record<string, string>> = {
  rotated: "exchanged for a new pair",
  repeated: "answered again: the first answer was lost",
  reused: "reuse detected: the session was revoked",
  unverified: "refused: forged or foreign",
  expired: "refused: past its time",
  ended: "refused: its session has ended",
};

function refusals(status: MigrationStatus): Markup {
  const { refreshes, tokensRefused, refusals, merged, errors } = status;
  const reused = refreshes["reused"] ?? 0;
  const columns = (title: string): Column<[string, number]>[] => [
    { title, cell: ([name]) => name },
    { title: "Count", isNumber: true, cell: ([, number]) => count(number) },
  ];
  const sorted = (counts: Readonly<Record<string, number>>) =>
    Object.entries(counts).sort(([, a], [, b]) => b - a);
  return markup`
    ${reused > 0 && markup`<p class="notice bad"><strong>${count(reused)} reused</strong>: refresh tokens came back after their time, and their sessions were revoked. A stolen token, or a client that refreshes from two places.</p>`}
    ${table(
      "Refresh tokens presented in 30 days",
      columns("Result").toSpliced(1, 0, {
        title: "Meaning",
        cell: ([name]) => refreshMeanings[name] ?? "",
      }),
      sorted(refreshes),
      "No refresh token has been presented in 30 days.",
    )}
    ${table("Access tokens refused in 30 days", columns("Reason"), sorted(tokensRefused), "No access token has been refused in 30 days.")}
    ${table("Requests refused in 30 days", columns("Code"), sorted(refusals), "No request has been refused in 30 days.")}
    <p class="quiet">Commits that merged another’s changes: ${count(merged)}. Errors beside a request: ${count(errors)}.</p>`;
}

function processes(status: MigrationStatus, mode: Mode): Markup {
  const { processes, at } = status;
  return table(
    "Processes that serve requests",
    [
      {
        title: "Process",
        cell: ({ host, pid }) => markup`${host} <span class="quiet">${pid}</span>`,
      },
      {
        title: "Mode",
        cell: (process) =>
          isBehind(process, mode, status)
            ? markup`<strong class="warn">${process.mode}</strong>`
            : process.mode,
      },
      { title: "Mode from", cell: ({ modeFrom }) => modeFrom },
      { title: "Node.js", cell: ({ node }) => node },
      { title: "Started", cell: ({ startedAt }) => moment(startedAt) },
      {
        title: "Last heard of",
        cell: ({ seenAt }) =>
          `${duration(Math.max(0, (at.getTime() - seenAt.getTime()) / 1000))} ago`,
      },
    ],
    processes,
    "No process is alive that has served a request.",
  );
}

function changes({ changes }: MigrationStatus): Markup {
  return table(
    "The last changes of the flag",
    [
      { title: "When", cell: ({ changedAt }) => moment(changedAt) },
      { title: "Who", cell: ({ changedBy }) => changedBy },
      { title: "What", cell: (change, index) => whatChanged(change, changes[index + 1]) },
      {
        title: "Reason",
        cell: ({ reason }) => reason ?? markup`<span class="quiet">none given</span>`,
      },
    ],
    changes,
    "Nobody has changed the flag yet.",
  );
}

function whatChanged(change: ModeChange, before: ModeChange | undefined): Markup {
  const told: Markup[] = [];
  const now = parseBrownout(change.brownout);
  const then = parseBrownout(before?.brownout);
  if (change.mode !== change.from) {
    told.push(markup`${change.from ?? "unset"} → <strong>${change.mode}</strong>`);
  }
  if (now !== undefined && now.id !== then?.id) {
    told.push(markup`brownout of ${percent(now.share)}`);
  }
  if (now === undefined && then !== undefined) told.push(markup`brownout ended`);
  if (told.length === 0) told.push(markup`${change.mode}, as before`);
  return markup`${told.map((each, index) => [index > 0 && ", ", each])}`;
}

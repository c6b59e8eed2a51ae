/** How the page looks: light and dark, on any width, without a font or picture from elsewhere. */
export const styles = `
:root {
  color-scheme: light dark;
  --ground: #f4f5f2; --card: #fffffe; --text: #1d2522; --quiet: #58635e; --edge: #dfe3de;
  --token: #0b7567; --token-soft: #0b756718; --legacy: #b4570c; --legacy-soft: #b4570c16; --dropped: #6a5aa8;
  --good: #0b7567; --good-ground: #e6f3ef; --wait: #96500a; --wait-ground: #faf1e3;
  --bad: #ad2f27; --bad-ground: #fbebe8; --on-strong: #ffffff; --focus: #1f5fbf;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #111514; --card: #191f1d; --text: #e5ebe8; --quiet: #9fada7; --edge: #2c3532;
    --token: #55c9b5; --token-soft: #55c9b51c; --legacy: #eea45b; --legacy-soft: #eea45b18; --dropped: #b3a5ec;
    --good: #6fd3bf; --good-ground: #14312b; --wait: #f0b878; --wait-ground: #33271a;
    --bad: #ff9c90; --bad-ground: #3a201d; --on-strong: #10201c; --focus: #8dbcff;
  }
}
*, *::before, *::after { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body {
  margin: 0; background: var(--ground); color: var(--text);
  font: 0.9375rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
}
header, main, footer { max-width: 76rem; margin: 0 auto; padding: 0 1.5rem; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0.25rem 1.5rem; padding-top: 1.75rem; padding-bottom: 1.25rem; }
header h1, header p { margin: 0; }
header h1, header .name { font-size: 1.125rem; font-weight: 650; letter-spacing: -0.01em; }
footer { padding-top: 0.5rem; padding-bottom: 3rem; color: var(--quiet); font-size: 0.8125rem; }
h2 { margin: 0 0 0.75rem; font-size: 0.9375rem; font-weight: 650; }
p { margin: 0 0 0.75rem; }
p:last-child, ul:last-child, dl:last-child { margin-bottom: 0; }
a { color: var(--token); text-underline-offset: 0.2em; }
.quiet { color: var(--quiet); font-weight: 400; }
strong.warn { color: var(--wait); }
.freshness { margin-left: auto; color: var(--quiet); font-size: 0.8125rem; }
.freshness::before { content: ""; display: inline-block; width: 0.5rem; height: 0.5rem; margin-right: 0.5rem; border-radius: 50%; background: var(--good); }
.freshness.stale { color: var(--bad); font-weight: 600; }
.freshness.stale::before { background: var(--bad); }
.stale main [data-part] { opacity: 0.75; }
.visually-hidden { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.skip { position: absolute; left: 1rem; top: -4rem; padding: 0.5rem 1rem; border-radius: 0.5rem; background: var(--card); z-index: 1; }
.skip:focus { top: 0.5rem; }
:focus-visible { outline: 2px solid var(--focus); outline-offset: 2px; border-radius: 0.375rem; }

main { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1rem; }
main > .notice, .wide, .mode, .confirm { grid-column: 1 / -1; }
.column { display: grid; grid-template-rows: 1fr auto; gap: 1rem; min-width: 0; }
.card { min-width: 0; padding: 1.25rem 1.5rem 1.375rem; background: var(--card); border: 1px solid var(--edge); border-radius: 0.875rem; }

.notice { margin: 0 0 0.75rem; padding: 0.75rem 1rem; border-radius: 0.625rem; }
.notice:last-child { margin-bottom: 0; }
main > .notice { margin: 0; }
.notice ul { margin: 0 0 0.5rem; padding-left: 1.25rem; }
.notice.good { background: var(--good-ground); color: var(--good); }
.notice.warn { background: var(--wait-ground); color: var(--text); }
.notice.bad { background: var(--bad-ground); color: var(--bad); }

.stages { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); margin: 0.25rem 0 1.125rem; padding: 0; list-style: none; }
.stages li { position: relative; padding: 1.625rem 1rem 0 0; color: var(--quiet); }
.stages li::before { content: ""; position: absolute; z-index: 1; top: 0.1875rem; left: 0; width: 0.875rem; height: 0.875rem; border: 2px solid var(--edge); border-radius: 50%; background: var(--card); }
.stages li:not(:last-child)::after { content: ""; position: absolute; top: 0.5625rem; left: 0.875rem; right: 0; height: 2px; background: var(--edge); }
.stages .past::before { border-color: var(--token); background: var(--token); }
.stages .past:not(:last-child)::after { background: var(--token); }
.stages .now::before { border-color: var(--token); background: var(--token); box-shadow: 0 0 0 4px var(--token-soft), 0 0 0 5px var(--token); }
.stages strong { display: block; font-size: 1.0625rem; font-weight: 600; line-height: 1.3; }
.stages span { display: block; font-size: 0.8125rem; line-height: 1.4; }
.stages .now strong { color: var(--token); font-weight: 700; }
.stages .now span { color: var(--text); }

.numbers { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1rem; margin: 0; }
.numbers > div { padding: 1rem 1.5rem; background: var(--card); border: 1px solid var(--edge); border-radius: 0.875rem; }
.numbers dt { color: var(--quiet); font-size: 0.8125rem; }
.numbers dd { margin: 0; }
.numbers dt + dd { font-size: 1.5rem; font-weight: 600; line-height: 1.35; letter-spacing: -0.02em; }
.numbers .quiet { font-size: 0.8125rem; }

.verdict .answer { display: flex; align-items: center; gap: 0.75rem; margin-bottom: 0.75rem; font-size: 1.625rem; font-weight: 650; letter-spacing: -0.02em; line-height: 1.2; }
.verdict svg { flex: none; fill: none; stroke: currentColor; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
.verdict .good .answer { color: var(--good); }
.verdict .waiting .answer { color: var(--wait); }
.verdict ul, .confirm ul { margin: 0 0 0.75rem; padding-left: 1.125rem; }
.verdict li, .confirm li { margin-bottom: 0.25rem; }
.verdict li::marker, .confirm li::marker { color: var(--quiet); }
.estimate { padding-top: 0.75rem; border-top: 1px solid var(--edge); }

fieldset { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0.5rem; margin: 0 0 0.875rem; padding: 0; border: 0; }
legend { padding: 0; margin-bottom: 0.375rem; }
.option { display: flex; align-items: flex-start; gap: 0.625rem; padding: 0.5rem 0.75rem; border: 1px solid var(--edge); border-radius: 0.625rem; cursor: pointer; line-height: 1.35; }
.option:hover { border-color: var(--quiet); }
.option:has(:checked) { border-color: var(--token); background: var(--token-soft); }
.option strong { display: block; font-weight: 600; }
.option .quiet { font-size: 0.8125rem; }
.option input { flex: none; margin: 0.2rem 0 0; accent-color: var(--token); }
input:not([type]) { display: block; width: 100%; margin: 0.375rem 0 0.875rem; padding: 0.5rem 0.75rem; border: 1px solid var(--quiet); border-radius: 0.5rem; background: transparent; color: inherit; font: inherit; }
button { padding: 0.5rem 1.125rem; border: 1px solid transparent; border-radius: 0.5rem; background: var(--token); color: var(--on-strong); font: inherit; font-weight: 600; cursor: pointer; }
button:hover { filter: brightness(1.08); }
button.risky { background: var(--bad); }
form > .quiet { display: inline; margin-left: 0.875rem; font-size: 0.8125rem; }
.confirm { max-width: 46rem; width: 100%; justify-self: center; padding: 2rem 2.25rem; }
.confirm h1 { margin: 0 0 1.25rem; font-size: 1.5rem; font-weight: 650; line-height: 1.3; letter-spacing: -0.02em; }
.confirm h1 em { font-style: normal; color: var(--token); }
.confirm h2 { margin-top: 1.5rem; }
.actions { display: flex; flex-wrap: wrap; align-items: center; gap: 0.75rem 1.5rem; margin-top: 1.75rem; }

.legend { display: flex; flex-wrap: wrap; gap: 0.25rem 1.5rem; margin: 0 0 0.75rem; padding: 0; list-style: none; font-size: 0.8125rem; }
.legend li::before { content: ""; display: inline-block; width: 1.125rem; height: 0.1875rem; margin-right: 0.5rem; border-radius: 2px; vertical-align: middle; background: currentColor; }
.chart { display: block; overflow: visible; }
.chart text { fill: var(--quiet); font-size: 0.75rem; paint-order: stroke; stroke: var(--card); stroke-width: 4px; stroke-linejoin: round; }
.chart .middle { text-anchor: middle; }
.chart .end { text-anchor: end; }
.chart .grid { stroke: var(--edge); }
.chart .mark { stroke: var(--quiet); stroke-dasharray: 1 3; }
.chart .line { fill: none; stroke: currentColor; stroke-width: 2.25; stroke-linejoin: round; stroke-linecap: round; vector-effect: non-scaling-stroke; }
.chart .unfinished { stroke-dasharray: 2 5; }
.chart circle { fill: var(--card); stroke: currentColor; stroke-width: 2; }
.chart .area { stroke: none; }
.chart .area.bearer { fill: var(--token-soft); }
.chart .area.legacy { fill: var(--legacy-soft); }
.chart .area.dropped { fill: none; }
.bearer { color: var(--token); } .legacy { color: var(--legacy); } .dropped { color: var(--dropped); }
.day rect { fill: transparent; }
.day rect:hover { fill: var(--text); fill-opacity: 0.06; }

.scroll { overflow-x: auto; margin: 0 -0.5rem; padding: 0 0.5rem; }
.scroll + .scroll, .scroll + p, p + .scroll { margin-top: 1.25rem; }
details { margin-top: 0.875rem; font-size: 0.875rem; }
details .scroll { max-height: 22rem; overflow: auto; margin-top: 0.5rem; }
summary { width: fit-content; color: var(--quiet); cursor: pointer; }
summary:hover { color: var(--text); }
table { width: 100%; border-collapse: collapse; font-size: 0.875rem; overflow-wrap: break-word; }
caption { padding-bottom: 0.375rem; color: var(--quiet); font-size: 0.8125rem; text-align: left; }
th, td { padding: 0.4375rem 1rem 0.4375rem 0; border-top: 1px solid var(--edge); text-align: left; vertical-align: top; font-weight: 400; }
th:last-child, td:last-child { padding-right: 0; }
thead th:not(.number) { white-space: nowrap; }
thead th { border-top: 0; color: var(--quiet); font-size: 0.8125rem; vertical-align: bottom; }
time { white-space: nowrap; }
.number { text-align: right; }
td.number { white-space: nowrap; }
tbody th .quiet { font-size: 0.8125rem; }
.explained { display: block; line-height: 1.35; }
.source { white-space: nowrap; }
.label { display: inline-block; padding: 0 0.5rem; border-radius: 0.375rem; background: var(--ground); border: 1px solid var(--edge); font-size: 0.8125rem; }
.label span { color: var(--quiet); }
.bar { display: block; min-width: 4rem; margin-top: 0.125rem; transform: scaleX(-1); }
.bar rect { fill: var(--legacy); }

@media (max-width: 52rem) {
  header, main, footer { padding-left: 1rem; padding-right: 1rem; }
  main { grid-template-columns: minmax(0, 1fr); gap: 0.75rem; }
  .card { padding: 1.125rem; }
  .confirm { padding: 1.25rem; }
  .numbers, .column { gap: 0.75rem; }
  .numbers > div { padding: 0.875rem 1rem; }
  .numbers dt + dd, .verdict .answer { font-size: 1.375rem; }
  .numbers dt + dd { letter-spacing: -0.03em; }
  .freshness { margin-left: 0; width: 100%; }
  form > .quiet { display: block; margin: 0.75rem 0 0; }
}
@media (max-width: 34rem) {
  fieldset { grid-template-columns: minmax(0, 1fr); }
  .numbers > div { padding: 0.75rem; }
  .numbers dt + dd { font-size: clamp(1rem, 5.2vw, 1.375rem); }
  .stages { grid-template-columns: minmax(0, 1fr); }
  .stages li { padding: 0 0 0.875rem 1.75rem; }
  .stages li:last-child { padding-bottom: 0; }
  .stages li:not(:last-child)::after { top: 1.0625rem; bottom: -0.1875rem; left: 0.375rem; right: auto; width: 2px; height: auto; }
  .chart text.middle:nth-of-type(even) { display: none; }
}
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
@media (forced-colors: active) { .stages .now::before, .stages .past::before, .bar rect { forced-color-adjust: none; } }
`;

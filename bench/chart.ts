import { thousands } from "./table.js";

export interface Bar {
  readonly name: string;
  readonly value: number;
  /** Stands out. */
  readonly isOwn: boolean;
}

const width = 820;
const labelWidth = 330;
const valueWidth = 70;
const rowHeight = 26;
const barHeight = 16;
const titleHeight = 44;

const style = `
  text { font: 14px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
  .title, .own text { font-weight: 600; }
  rect { fill: #b6bec9; }
  .own rect { fill: #0a69c7; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    rect { fill: #4b5563; }
    .own rect { fill: #58a6ff; }
  }
`;

/** Groups of horizontal bars as SVG, each group with its longest bar first, in light and dark. */
export function drawChart(groups: readonly { title: string; bars: readonly Bar[] }[]): string {
  const parts: string[] = [];
  let top = 0;
  for (const { title, bars } of groups) {
    parts.push(`<text class="title" x="0" y="${top + 26}">${escape(title)}, requests/s</text>`);
    top += titleHeight;
    const longest = Math.max(...bars.map(({ value }) => value));
    for (const bar of [...bars].sort((one, other) => other.value - one.value)) {
      parts.push(drawBar(bar, top, longest));
      top += rowHeight;
    }
    top += rowHeight / 2;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${top}" width="${width}" height="${top}" role="img">
<title>${escape(groups.map(({ title }) => title).join("; "))}: requests a second</title>
<style>${style}</style>
${parts.join("\n")}
</svg>
`;
}

function drawBar({ name, value, isOwn }: Bar, top: number, longest: number): string {
  const length = ((width - labelWidth - valueWidth) * value) / longest;
  const baseline = top + barHeight - 3;
  return [
    `<g${isOwn ? ' class="own"' : ""}>`,
    `<text x="${labelWidth - 12}" y="${baseline}" text-anchor="end">${escape(name)}</text>`,
    `<rect x="${labelWidth}" y="${top}" width="${length.toFixed(1)}" height="${barHeight}" rx="2"/>`,
    `<text x="${(labelWidth + length + 8).toFixed(1)}" y="${baseline}">${thousands(value)}</text>`,
    "</g>",
  ].join("");
}

const escape = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

import { readFile, writeFile } from "node:fs/promises";
import { format, resolveConfig } from "prettier";
import { drawChart } from "./chart.js";
import type { Outcome } from "./run-all.js";
import { tell } from "./stage.js";
import { resultTable, typical } from "./table.js";

const readme = new URL("../README.md", import.meta.url);
const chart = new URL("../docs/bench.svg", import.meta.url);
const begin = "<!-- written by npm run bench -- --write -->";
const end = "<!-- end of what the bench wrote -->";

/** Puts the tables of a run, its machine and its command into the README, and draws the chart. */
export async function publish(run: Outcome & { machine: string }): Promise<void> {
  const command = `npm run bench -- ${process.argv.slice(2).join(" ")}`;
  const tables = run.scenarios.map(({ name, results }) => `${name}:\n\n${resultTable(results)}`);
  const picture =
    "![Bars of requests a second by variant, with sessions read and with sessions changed](docs/bench.svg)";
  const text = [picture, ...tables, `\`${command}\` on ${run.machine}.`].join("\n\n");
  const page = between(await readFile(readme, "utf8"), text);
  const style = await resolveConfig(readme);
  await writeFile(readme, await format(page, { ...style, parser: "markdown" }));
  const groups = run.scenarios
    .filter(({ id }) => id !== "read-few")
    .map(({ name, results }) => ({
      title: name,
      bars: results.map((result) => ({
        name: result.variant.name,
        value: typical(result, "requestsPerSecond"),
        isOwn: result.variant.isOwn === true,
      })),
    }));
  await writeFile(chart, drawChart(groups));
  tell("Wrote README.md and docs/bench.svg.");
}

/** @throws Error when the page has no place for it */
export function between(page: string, text: string): string {
  const [before, rest] = split(page, begin);
  const [, after] = split(rest, end);
  return `${before}${begin}\n\n${text}\n\n${end}${after}`;
}

function split(page: string, marker: string): [string, string] {
  const at = page.indexOf(marker);
  if (at < 0) throw new Error(`README.md has no line "${marker}".`);
  return [page.slice(0, at), page.slice(at + marker.length)];
}

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { recordings } from "../support/recordings.js";
import { systemsOfReadme } from "../support/systems/index.js";
import { packageVersion } from "../support/systems/package-version.js";
import { flowsOfTest } from "../support/systems/system-flow.js";
import { pairIn, whoami } from "../support/tokens.js";

// The README's table "Which old systems": no row without its test here, nor a version that did not run.
const start = flowsOfTest();

interface Row {
  readonly name: string;
  readonly versions: string;
  readonly call: string;
}

function rowsOfReadme(): Row[] {
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  const [, section = ""] = readme.split("\n## Which old systems\n");
  const lines = section.split("\n").filter((line) => line.startsWith("|"));
  return lines.slice(2).map((line) => {
    const [name = "", versions = "", call = ""] = line
      .split("|")
      .slice(1)
      .map((cell) => cell.trim());
    return { name, versions, call };
  });
}

const table = rowsOfReadme();

it("The table has a row for each system under test, in their order", () => {
  expect(table.map(({ name }) => name)).toEqual(systemsOfReadme.map(({ row }) => row));
});

describe.each(systemsOfReadme.map((system) => [system.row, system] as const))(
  "%s",
  (row, system) => {
    const { versions, call } = table.find(({ name }) => name === row) ?? { versions: "", call: "" };
    const isOf = (version: string, named: string) => `${version}.`.startsWith(`${named}.`);

    it("is tested in the versions that the table names", () => {
      const [own = "", ...others] = versions.split(/ with |, and sessions recorded with /);
      expect(isOf(system.version, own)).toBe(true);
      for (const other of others) {
        const [version = "", name] = other.split(" ").reverse();
        const found =
          name === undefined
            ? recordings.map(({ versions: recorded }) => recorded["@compas/server"] ?? "")
            : [packageVersion(name)];
        expect(found.some((each) => isOf(each, version))).toBe(true);
      }
    });

    it("is upgraded by the source that the table names, and logged out", async () => {
      const flow = await start(system);
      // The source's name is its function's in kebab case, but for Compas.
      const [, named = ""] = /^`(\w+)\(/.exec(call) ?? [];
      const kebab = named.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      const [source] = flow.application.source().name.split(":");
      expect(source).toBe(kebab.replace("compas-session", "compas"));
      const app = await flow.bridged();
      const browser = (await flow.login()).clone({ baseUrl: app.url });
      const response = await browser.get("/set?theme=dark");
      const expected = { userId: "user-1", theme: "dark" };
      expect(response.body.session).toEqual(expected);
      const pair = pairIn(response);
      expect((await whoami(app.url, pair)).body.session).toEqual(expected);
      await browser.get("/logout");
      expect((await whoami(app.url, pair)).status).toBe(401);
      expect(await flow.loggedIn()).toBe(0);
    });
  },
);

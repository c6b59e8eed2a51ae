import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { isConfirmed } from "../../src/cli/confirm.js";

async function ask(keys: string, isTTY = true) {
  const [input, output] = [new PassThrough(), new PassThrough()];
  const terminal = {
    input: Object.assign(input, { isTTY }),
    output: Object.assign(output, { isTTY }),
  };
  let told = "";
  output.on("data", (text: Buffer) => (told += text.toString()));
  const asking = isConfirmed("Go on?", terminal);
  input.write(keys);
  return { isConfirmed: await asking, told };
}

test.each([
  ["Ctrl-C", "\u0003"],
  ["Ctrl-D", "\u0004"],
  ["no", "n\r"],
  ["an empty line", "\r"],
])("%s changes nothing, and is told so on a line of its own", async (_, keys) => {
  const asked = await ask(keys);
  expect(asked.isConfirmed).toBe(false);
  expect(asked.told).toMatch(/Go on\? \[y\/N\][^]*\nNothing was changed\.\n$/);
});

test("yes goes on", async () => {
  const asked = await ask("y\r");
  expect(asked.isConfirmed).toBe(true);
  expect(asked.told).not.toContain("Nothing");
});

test("where nobody can be asked, nothing is asked, and --yes is named", async () => {
  expect(await ask("", false)).toEqual({
    isConfirmed: false,
    told: "Nothing was changed. With --yes it is set all the same.\n",
  });
});

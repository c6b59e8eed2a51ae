import { expect, test } from "vitest";
import { whyNotImported } from "../../src/cli/load-bridge.js";

test.each([".ts", ".mts", ".tsx"])(
  "a file %s that Node.js does not know is told as TypeScript",
  (extension) => {
    const error = new TypeError(
      `Unknown file extension "${extension}" for /app/bridge${extension}`,
    );
    expect(whyNotImported(error)).toBe(
      'it is TypeScript: run with NODE_OPTIONS="--import tsx", or name the compiled file',
    );
  },
);

test("any other failure is told as it is", () => {
  const error = new TypeError('Unknown file extension ".json5" for /app/bridge.json5');
  expect(whyNotImported(error)).toBe(error.message);
});

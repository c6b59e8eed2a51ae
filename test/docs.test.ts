import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { beforeAll, describe, expect, test } from "vitest";
import { typeCheck } from "./support/type-check.js";

// Every block fenced as ts or js stands by itself: a module that compiles against the sources. The lines
// that a diff adds are only parsed, since what is around them is the reader's own.
const root = fileURLToPath(new URL("..", import.meta.url));
const pages = ["README.md", "MIGRATION.md", "OPERATING.md"];

interface Block {
  readonly page: string;
  readonly line: number;
  readonly language: string;
  readonly text: string;
}

async function blocksOf(page: string): Promise<Block[]> {
  const text = await readFile(join(root, page), "utf8");
  const fences = text.matchAll(/^( *)```(\w+)[^\n]*\n([\s\S]*?)^ *```$/gm);
  return [...fences].map((fence) => {
    const [, indent = "", language = "", code = ""] = fence;
    const line = text.slice(0, fence.index).split("\n").length + 1;
    return { page, line, language, text: code.replaceAll(new RegExp(`^${indent}`, "gm"), "") };
  });
}

const isChecked = ({ language }: Block) =>
  ["ts", "typescript", "js", "javascript"].includes(language);
const extensionOf = ({ language }: Block) => (language.startsWith("t") ? "ts" : "js");

let blocks: Block[];

beforeAll(async () => {
  blocks = (await Promise.all(pages.map(blocksOf))).flat();
});

test("the pages have examples", () => {
  for (const page of pages) {
    expect(
      blocks.filter((block) => block.page === page && isChecked(block)).length,
    ).toBeGreaterThan(0);
  }
});

test("every example in them compiles by itself", async () => {
  const modules = blocks.filter(isChecked).map((block) => [
    `${block.page.replace(".md", "")}-line-${block.line}.${extensionOf(block)}`,
    // The blank lines make the compiler's line numbers those of the page.
    `${"\n".repeat(block.line - 1)}${block.text}\nexport {};\n`,
  ]);
  expect(await typeCheck(Object.fromEntries(modules) as Record<string, string>)).toBe("");
});

describe("every line that a diff adds", () => {
  test("parses", () => {
    for (const { page, line, text } of blocks.filter(({ language }) => language === "diff")) {
      const added = text.split("\n").filter((each) => !each.startsWith("-"));
      const code = added.map((each) => each.slice(1)).join("\n");
      const { diagnostics = [] } = ts.transpileModule(code, { reportDiagnostics: true });
      const messages = diagnostics.map(({ messageText }) => messageText);
      expect(messages, `${page}, line ${line}`).toEqual([]);
    }
  });
});

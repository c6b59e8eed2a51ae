/** HTML that is safe to show as it is. */
export class Markup {
  constructor(readonly text: string) {}

  toString(): string {
    return this.text;
  }
}

/** What goes into HTML: text is escaped, and nothing stands for nothing. */
export type Content = Markup | string | number | false | null | undefined | readonly Content[];

const escapes: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Builds HTML; whatever is put in is escaped, unless it was built so itself. Quote every attribute. */
export function markup(strings: TemplateStringsArray, ...contents: Content[]): Markup {
  const pieces = strings.map((string, index) => string + textOf(contents[index]));
  return new Markup(pieces.join(""));
}

function textOf(content: Content): string {
  if (content instanceof Markup) return content.text;
  if (Array.isArray(content)) return content.map(textOf).join("");
  if (content === false || content === null || content === undefined) return "";
  return String(content).replace(/[&<>"']/g, (sign) => escapes[sign] ?? "");
}

/** One line of a scrape. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Reads what an application answers to a scrape. */
export function parseScrape(text: string): Sample[] {
  return text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const [, name = "", labels = "", value = ""] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      const pairs = labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g);
      return {
        name,
        labels: Object.fromEntries([...pairs].map(([, label = "", text = ""]) => [label, text])),
        value: Number(value),
      };
    });
}

/** What an expression asks of one metric. */
export interface Selector {
  readonly metric: string;
  readonly matchers: readonly { label: string; operator: string; value: string }[];
}

/** Every metric of the bridge in an expression of PromQL. */
export function selectorsIn(expression: string): Selector[] {
  const found = expression.matchAll(/(koa_session_bridge_\w+|\w+:[\w:]+)(?:\{([^}]*)\})?/g);
  return [...found].map(([, metric = "", inBraces = ""]) => ({
    metric,
    matchers: [...inBraces.matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g)].map(
      ([, label = "", operator = "", value = ""]) => ({ label, operator, value }),
    ),
  }));
}

/** The labels that an expression groups by. */
export function groupedBy(expression: string): string[] {
  const groups = expression.matchAll(/\bby\s*\(([^)]*)\)/g);
  return [...groups].flatMap(([, names = ""]) => names.split(",").map((name) => name.trim()));
}

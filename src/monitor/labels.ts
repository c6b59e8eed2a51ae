/** A label's values beyond these count as this one. */
export const otherValue = "other";

const maximumLabels = 5;
const maximumNames = 20;
const maximumValues = 100;
const maximumSets = 1000;
const maximumNameLength = 40;
const maximumValueLength = 60;

export type Labels = Readonly<Record<string, string>>;

/** Keeps an application's labels from growing without end, whatever its function gives. */
export class LabelBounds {
  readonly #values = new Map<string, Set<string>>();
  readonly #sets = new Set<string>();

  /**
   * At most five labels, of at most 100 values each; any further value becomes `other`, and so does one
   * that is secret. A label whose name is secret is left out.
   */
  bound(labels: unknown, isSecret: (value: string) => boolean): Labels {
    if (typeof labels !== "object" || labels === null) return {};
    const given = Object.entries(labels);
    if (given.length === 0) return {};
    const entries = given
      .filter(([name, value]) => value !== undefined && value !== null && !isSecret(name))
      .map(([name, value]) => [
        tidy(name, maximumNameLength),
        isSecret(String(value)) ? otherValue : tidy(String(value), maximumValueLength),
      ])
      .filter(([name = ""]) => this.#values.has(name) || this.#values.size < maximumNames)
      .sort(([a = ""], [b = ""]) => (a < b ? -1 : 1))
      .slice(0, maximumLabels) as [string, string][];
    const bounded = entries.map(([name, value]) => [name, this.#value(name, value)] as const);
    const set = JSON.stringify(bounded);
    if (this.#sets.has(set)) return Object.fromEntries(bounded);
    if (this.#sets.size >= maximumSets)
      return Object.fromEntries(bounded.map(([name]) => [name, otherValue]));
    this.#sets.add(set);
    return Object.fromEntries(bounded);
  }

  /** Notes a value that another process has counted. */
  learn(name: string, value: string): void {
    this.#valuesOf(name).add(value);
  }

  #value(name: string, value: string): string {
    const values = this.#valuesOf(name);
    if (values.has(value)) return value;
    if (values.size >= maximumValues) return otherValue;
    values.add(value);
    return value;
  }

  #valuesOf(name: string): Set<string> {
    let values = this.#values.get(name);
    if (values === undefined) this.#values.set(name, (values = new Set()));
    return values;
  }
}

// Neither PostgreSQL nor a terminal takes every character.
const tidy = (text: string, length: number) =>
  text.slice(0, length).replace(/\p{Surrogate}|\p{Control}/gu, " ");

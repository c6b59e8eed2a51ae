/** The order of an object's members, and of those below; null where there is none to keep. */
export type MemberOrder = { readonly names: string[]; readonly below: MemberOrder[] } | null;

/**
 * PostgreSQL's `jsonb` keeps its own order of members, but an old middleware that compares JSON text
 * would take another order for a change, and answers would show it.
 */
export function memberOrderOf(value: unknown): MemberOrder {
  if (typeof value !== "object" || value === null) return null;
  const below = Object.values(value).map(memberOrderOf);
  return { names: Object.keys(value), below };
}

/** The same data with its members in that order; members it does not name come last. */
export function inMemberOrder<Value>(value: Value, order: MemberOrder): Value {
  if (typeof value !== "object" || value === null || order === null) return value;
  if (Array.isArray(value)) {
    return value.map((item, index): unknown =>
      inMemberOrder(item, order.below[index] ?? null),
    ) as Value;
  }
  const members = value as Record<string, unknown>;
  const ordered: [string, unknown][] = [];
  order.names.forEach((name, index) => {
    if (!Object.hasOwn(value, name)) return;
    ordered.push([name, inMemberOrder(members[name], order.below[index] ?? null)]);
  });
  const names = Object.keys(value);
  if (ordered.length < names.length) {
    const known = new Set(order.names);
    for (const name of names) if (!known.has(name)) ordered.push([name, members[name]]);
  }
  return Object.fromEntries(ordered) as Value;
}

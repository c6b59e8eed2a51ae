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
  const known = order.names.filter((name) => Object.hasOwn(value, name));
  const names = new Set([...known, ...Object.keys(value)]);
  const ordered = [...names].map((name) => {
    const below = order.below[order.names.indexOf(name)] ?? null;
    return [name, inMemberOrder((value as Record<string, unknown>)[name], below)] as const;
  });
  return Object.fromEntries(ordered) as Value;
}

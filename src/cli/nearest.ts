const furthest = 2;

/** The name that was meant by a mistyped one: at most two letters off; undefined where none is near. */
export function nearest(given: string, names: readonly string[]): string | undefined {
  const distances = names.map((name) => ({ name, distance: distanceBetween(given, name) }));
  const [first] = distances.sort((a, b) => a.distance - b.distance);
  const isNear = first !== undefined && first.distance <= furthest && first.distance < given.length;
  return isNear ? first.name : undefined;
}

// Levenshtein's: letters to insert, delete or replace. A row of his table for each letter.
function distanceBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) {
      const [above = 0, diagonal = 0, left = 0] = [row[j + 1], row[j], next[j]];
      next.push(Math.min(above + 1, left + 1, diagonal + (letter === other ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

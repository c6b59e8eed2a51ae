const places = 2 ** 16;

/**
 * Which sessions have changed since when, as this process knows. Sessions are told apart by the last four
 * digits of their ids, so that it never grows: one that shares them with a changed one counts as changed.
 */
export class ChangedSessions {
  #changes = 0;
  #allChangedAt = 0;
  readonly #changedAt = new Float64Array(places);

  /** The moment to ask {@link hasChangedSince} about later: how many changes there have been. */
  get moment(): number {
    return this.#changes;
  }

  note(sessionId: string): void {
    const place = placeOf(sessionId);
    if (Number.isNaN(place)) this.noteAll();
    else this.#changedAt[place] = this.#changes += 1;
  }

  /** Any session may have changed. */
  noteAll(): void {
    this.#allChangedAt = this.#changes += 1;
  }

  hasChangedSince(moment: number, place: number): boolean {
    return this.#allChangedAt > moment || (this.#changedAt[place] ?? 0) > moment;
  }
}

/** Where a session's changes are noted. */
export const placeOf = (sessionId: string): number => Number.parseInt(sessionId.slice(-4), 16);

/** A clock that only moves when told. Pass `clock.now` wherever a `clock: () => Date` is asked for. */
export class TestClock {
  #time: number;

  constructor(start: Date = new Date()) {
    this.#time = start.getTime();
  }

  /** Bound, so that it can be handed over by itself. */
  readonly now = (): Date => new Date(this.#time);

  advance(seconds: number): void {
    this.#time += seconds * 1_000;
  }
}

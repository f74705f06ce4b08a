/**
 * Runs what was asked for once in the next animation frame, however often it was asked for.
 *
 * Thousands of events a second become at most one drawing a frame.
 */
export class Frame {
  readonly #request: (act: () => void) => void;
  readonly #waiting = new Set<() => void>();
  #asked = false;

  constructor(request: (act: () => void) => void) {
    this.#request = request;
  }

  /** Runs `act` in the next frame; the same function asked for twice runs once. */
  next(act: () => void): void {
    this.#waiting.add(act);
    if (this.#asked) return;
    this.#asked = true;
    this.#request(() => {
      this.#asked = false;
      const acts = [...this.#waiting];
      this.#waiting.clear();
      for (const one of acts) one();
    });
  }
}

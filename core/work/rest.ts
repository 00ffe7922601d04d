/** Waits that a wake ends early; a wake that came when nobody waited counts for the next. */
export class Rest {
  #woken = false;
  readonly #waiting = new Set<() => void>();

  wake(): void {
    if (this.#waiting.size === 0) this.#woken = true;
    for (const end of [...this.#waiting]) end();
  }

  /** Until `wake`, or `ms` at most where that is no null. */
  async until(ms: number | null): Promise<void> {
    if (this.#woken) {
      this.#woken = false;
      return;
    }
    await new Promise<void>((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#waiting.delete(end);
        resolve();
      };
      const timer = ms === null ? undefined : setTimeout(end, ms);
      this.#waiting.add(end);
    });
  }
}

/** Waits that a wake ends early; a wake that came before the wait counts. */
export class Rest {
  #woken = false;
  #wakeUp: () => void = () => undefined;

  wake(): void {
    this.#woken = true;
    this.#wakeUp();
  }

  /** Until `wake`, or `ms` at most where that is no null. */
  async until(ms: number | null): Promise<void> {
    if (!this.#woken) {
      await new Promise<void>((resolve) => {
        const timer = ms === null ? undefined : setTimeout(resolve, ms);
        this.#wakeUp = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#woken = false;
    this.#wakeUp = () => undefined;
  }
}

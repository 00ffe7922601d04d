/** One turn of working and resting. Short, so that neither a fan nor a hand notices; a signal costs some hundredths of a ms. */
const TURN_MS = 200;
/** A longer rest after one shard helps nobody: what is too hot by then pauses. */
const MAX_REST_MS = 60_000;

/** Stops a worker where it is, or lets it go on. */
type Freeze = (frozen: boolean) => void;

/**
 * Keeps a worker to a share of the time: by turns within a shard where it can be frozen, else by a rest after each shard that is as long as its
 * run makes necessary.
 */
export class Pace {
  #duty = 1;
  #freeze: Freeze | undefined;
  #beganAt: number | null = null;
  /** Counts what began: the end of something else than what runs is none. */
  #runs = 0;
  #timer: NodeJS.Timeout | undefined;
  #frozenAt: number | null = null;
  #frozenMs = 0;
  #restUntil = 0;
  #endRest: () => void = () => undefined;

  /** Time that workers were frozen so far: no part of what a shard took. */
  get frozenMs(): number {
    return this.#frozenMs + (this.#frozenAt === null ? 0 : performance.now() - this.#frozenAt);
  }

  /** @param duty share of the time, above 0 */
  set(duty: number): void {
    if (duty === this.#duty) return;
    this.#duty = duty;
    if (this.free) this.interrupt();
    this.#work();
  }

  /** Whether it holds nothing back. */
  get free(): boolean {
    return this.#duty >= 1;
  }

  /**
   * The worker begins with something, and so has ended what it did before. Gives what is called when that is done.
   * @param freeze undefined where it can't be frozen
   */
  begin(freeze: Freeze | undefined): () => void {
    this.#end();
    this.#runs += 1;
    const run = this.#runs;
    this.#freeze = freeze;
    this.#beganAt = performance.now();
    this.#work();
    return () => {
      if (run === this.#runs) this.#end();
    };
  }

  #end(): void {
    if (this.#beganAt === null) return;
    const now = performance.now();
    const ranMs = now - this.#beganAt;
    this.#beganAt = null;
    this.#work();
    if (this.#freeze !== undefined || this.free) return;
    this.#restUntil = Math.min(now + MAX_REST_MS, Math.max(now, this.#restUntil) + ranMs * (1 / this.#duty - 1));
  }

  /** Waits until the next shard may begin. */
  async rest(): Promise<void> {
    const leftMs = this.#restUntil - performance.now();
    if (leftMs <= 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, leftMs);
    this.#endRest = resolve;
    await promise;
    clearTimeout(timer);
  }

  /** Whoever rests need not any longer. */
  interrupt(): void {
    this.#restUntil = 0;
    this.#endRest();
  }

  #work(): void {
    clearTimeout(this.#timer);
    if (this.#frozenAt !== null) {
      this.#frozenMs += performance.now() - this.#frozenAt;
      this.#frozenAt = null;
      this.#freeze?.(false);
    }
    if (this.#beganAt === null || this.#freeze === undefined || this.free) return;
    this.#timer = setTimeout(() => this.#stand(), TURN_MS * this.#duty);
  }

  #stand(): void {
    this.#frozenAt = performance.now();
    this.#freeze?.(true);
    this.#timer = setTimeout(() => this.#work(), TURN_MS * (1 - this.#duty));
  }
}

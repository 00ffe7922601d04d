/** A step may take this long, whatever the machine: the first one has a model to load. */
const STEP_MS = 120_000;
/** A stage that answered before is waited for so many times as long as its longest step took, and at least so long. */
const TIMES = 20;
const LEAST_MS = 5000;

/** How long one attempt at a stage takes for its steps, so that a machine that is gone is told from one that computes. Times: ms of a steady clock. */
export class StagePace {
  #handedAt: number | null = null;
  #longestMs: number | null = null;

  handed(at: number): void {
    this.#handedAt = at;
  }

  answered(at: number): void {
    if (this.#handedAt === null) return;
    this.#longestMs = Math.max(this.#longestMs ?? 0, at - this.#handedAt);
    this.#handedAt = null;
  }

  /** After so long without an answer to what it was handed, nobody is there any more. */
  get patienceMs(): number {
    return this.#longestMs === null ? STEP_MS : Math.min(STEP_MS, Math.max(LEAST_MS, TIMES * this.#longestMs));
  }
}

import { HearthlendError } from '../contract/errors.ts';

/** So much is asked of a worker at once at most: one that it works on, and what waits in it. */
export const AT_ONCE = 5;

/** Something that was asked of a worker. */
export interface Asked {
  /** The worker comes to it: everything before is answered. Called once at most. */
  begin(): void;
  reject(error: HearthlendError): void;
}

/**
 * What was asked of a worker and isn't answered yet. A worker answers in order and reads ahead, so it works on the first, and what it does is that
 * one's; the others only wait in it, and neither its end nor what it does meanwhile is theirs.
 */
export class Pipeline<T extends Asked> {
  readonly #line: T[] = [];
  readonly #dropped = new Map<T, HearthlendError>();

  /** What it works on; null while it has nothing to do. */
  get first(): T | null {
    return this.#line[0] ?? null;
  }

  get waiting(): readonly T[] {
    return this.#line.slice(1);
  }

  add(asked: T): void {
    this.#line.push(asked);
    if (this.#line.length === 1) asked.begin();
  }

  /** The first was answered. Gives why nobody wants what the worker comes to next, where that was dropped; else null. */
  answered(): HearthlendError | null {
    const done = this.#line.shift();
    if (done !== undefined) this.#dropped.delete(done);
    const next = this.#line[0];
    if (next === undefined) return null;
    const dropped = this.#dropped.get(next);
    if (dropped === undefined) next.begin();
    return dropped ?? null;
  }

  /** One that waits isn't wanted any more; it is told so at once, and what runs goes on. Nothing happens to what doesn't wait. */
  drop(asked: T, error: HearthlendError): void {
    if (this.#dropped.has(asked) || !this.#line.includes(asked, 1)) return;
    this.#dropped.set(asked, error);
    asked.reject(error);
  }

  /**
   * The worker ends. What waited had no part in it, and is told WORKER_STOPPED: it can be asked of another worker as it is.
   * @param blame what `error` is of: the first, or one that was answered already, so that the first had no part in it either
   */
  end(error: HearthlendError, blame: 'first' | 'answered'): void {
    const line = this.#line.splice(0);
    for (const [at, asked] of line.entries()) {
      if (!this.#dropped.has(asked)) asked.reject(at === 0 && blame === 'first' ? error : new HearthlendError('WORKER_STOPPED'));
    }
    this.#dropped.clear();
  }
}

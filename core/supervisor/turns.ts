import { AT_ONCE } from './pipeline.ts';

/** What came before, as far as it matters for what comes next. Neither ever rejects. */
interface Before {
  /** Few enough of those before this are under way, and what they want is asked of the worker; or nothing is. */
  sent: Promise<unknown>;
  /** Nothing is under way any more. */
  over: Promise<unknown>;
}

/** Calls in the order in which they came. Each waits for what it has to of those before it. */
export class Turns {
  #last: Before;
  /** When each of the last calls is over, with all before it; oldest first. */
  #overs: readonly Promise<unknown>[];

  /** @param first what everything waits for; must not reject */
  constructor(first: Promise<unknown>) {
    this.#last = { sent: first, over: first };
    this.#overs = [first];
  }

  /** @param action calls `sent` where the next may come while it goes on, at the earliest once `before.sent` is */
  take<T>(action: (before: Before, sent: () => void) => Promise<T>): Promise<T> {
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    const done = action(before, resolve);
    const over = Promise.allSettled([before.over, done]);
    this.#last = { sent: Promise.all([this.#overs[0], Promise.race([promise, over])]), over };
    this.#overs = [...this.#overs, over].slice(1 - AT_ONCE);
    return done;
  }
}

import type { LeaseRequest } from './network.ts';
import type { Lease } from './shard.ts';

/** So much work is held ahead at most: what lies longer keeps others waiting. */
const AHEAD_MS = 2000;
const MOST_AHEAD = 32;
/** Leases that nobody asked for in this time go back: this machine works for somebody else. */
const IDLE_MS = 20_000;
/** How much a new observation counts. */
const SHARE = 0.3;

/** Leases that were lent ahead, and how many there should be. Times are ms of a clock that only grows. */
export class Ahead {
  #leases: Lease[] = [];
  #askedUnder = '';
  /** Between two leases that were handed out while there was work. */
  #everyMs: number | null = null;
  #handedOutAt: number | null = null;
  #roundTripMs = 0;
  readonly #leastMs: number;

  /** @param leastMs so much work is asked for at once, where a shard takes less */
  constructor(leastMs = 0) {
    this.#leastMs = leastMs;
  }

  get size(): number {
    return this.#leases.length;
  }

  leases(): readonly Lease[] {
    return this.#leases;
  }

  /** The next one to run; the time since the last tells how fast they go. */
  take(now: number): Lease | undefined {
    const lease = this.#leases.shift();
    if (lease !== undefined) this.handedOut(now);
    return lease;
  }

  handedOut(now: number): void {
    if (this.#handedOutAt !== null) {
      const every = Math.min(now - this.#handedOutAt, AHEAD_MS * 2);
      this.#everyMs = this.#everyMs === null ? every : this.#everyMs + (every - this.#everyMs) * SHARE;
    }
    this.#handedOutAt = now;
  }

  /** There was no work: what passes from here on is waiting, not computing. */
  ranDry(): void {
    this.#handedOutAt = null;
  }

  answered(tookMs: number): void {
    this.#roundTripMs = this.#roundTripMs === 0 ? tookMs : this.#roundTripMs + (tookMs - this.#roundTripMs) * SHARE;
  }

  add(leases: readonly Lease[]): void {
    this.#leases.push(...leases);
  }

  drop(shardId: string, attempt: number): void {
    this.#leases = this.#leases.filter(({ shard, attempt: number }) => shard.id !== shardId || number !== attempt);
  }

  /** All of them, which are no longer here then. */
  empty(): Lease[] {
    const leases = this.#leases;
    this.#leases = [];
    return leases;
  }

  /** Whether what lies here was lent under other conditions than these. */
  isStale(request: LeaseRequest): boolean {
    const { isolation, floors, refusedCategories, practice, backends } = request;
    const under = JSON.stringify([isolation, floors, refusedCategories, practice, backends]);
    const stale = this.#leases.length > 0 && under !== this.#askedUnder;
    this.#askedUnder = under;
    return stale;
  }

  isIdle(now: number): boolean {
    return this.#handedOutAt !== null && now - this.#handedOutAt > IDLE_MS;
  }

  /**
   * How many leases to ask for at once: one, until it is known how fast they go; then as many as are done while two round trips pass, twice over, or in
   * `leastMs`, and never more than some seconds' work.
   */
  count(): number {
    if (this.#everyMs === null) return 1;
    const every = Math.max(this.#everyMs, 0.5);
    const hidden = Math.ceil(Math.max(4 * this.#roundTripMs, this.#leastMs) / every);
    const most = Math.max(1, Math.floor(AHEAD_MS / every));
    return Math.max(1, Math.min(hidden, most, MOST_AHEAD));
  }

  /** Whether more should be fetched now, so that they are here before the last one is taken. */
  runsLow(): boolean {
    const count = this.count();
    return count > 1 && this.#leases.length <= count / 2;
  }
}

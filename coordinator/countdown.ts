import type { Address } from '../core/contract/receipt.ts';
import type { AttemptKey } from './store.ts';

/**
 * Leases counted down on a clock that only grows, so that a jump of the wall clock neither ends a lease nor keeps it for ever. Each coordinator of a
 * network counts for itself, from when it saw a lease begin or renewed.
 */
export interface Countdowns {
  /** `heldMs` bounds what renewals can make of it. */
  start(key: AttemptKey, ms: number, heldMs: number, worker?: Address): void;
  /** Begins one anew, also where it was over here already: whoever renewed it had the word of the store. */
  renew(key: AttemptKey): void;
  stop(key: AttemptKey): void;
  isOver(key: AttemptKey): boolean;
  /** Those that are over and were not stopped, the longest over first. */
  over(): AttemptKey[];
  /** Workers with a lease that is counted down. */
  workers(): number;
  close(): void;
}

interface Countdown {
  key: AttemptKey;
  worker: Address | undefined;
  ms: number;
  /** On the monotonic clock. */
  at: number;
  latest: number;
}

/** setTimeout's longest wait; a longer countdown is looked at again then. */
const MAX_TIMER_MS = 0x7fff_ffff;

/** @param onOver called once after one or more have ended @param monotonic ms that only grow */
export function createCountdowns(monotonic: () => number, onOver: () => void): Countdowns {
  const running = new Map<string, Countdown>();
  const ended = new Map<string, Countdown>();
  const held = new Map<Address, number>();
  /** Earliest first. One that was renewed or stopped since is found out when it comes up. */
  const heap: Array<{ name: string; at: number }> = [];
  let timer: NodeJS.Timeout | undefined;
  let armedFor = Number.POSITIVE_INFINITY;
  const nameOf = ({ shardId, attempt }: AttemptKey) => `${shardId}#${attempt}`;

  function count(worker: Address | undefined, by: number): void {
    if (worker === undefined) return;
    const left = (held.get(worker) ?? 0) + by;
    if (left === 0) held.delete(worker);
    else held.set(worker, left);
  }

  function settle(): void {
    const now = monotonic();
    for (let top = heap[0]; top !== undefined && top.at <= now; top = heap[0]) {
      pop(heap);
      const countdown = running.get(top.name);
      if (countdown === undefined) continue;
      if (countdown.at > now) push(heap, { name: top.name, at: countdown.at });
      else {
        running.delete(top.name);
        ended.set(top.name, countdown);
      }
    }
  }

  function arm(): void {
    const next = heap[0]?.at ?? Number.POSITIVE_INFINITY;
    if (next === armedFor) return;
    clearTimeout(timer);
    armedFor = next;
    if (next === Number.POSITIVE_INFINITY) return;
    timer = setTimeout(
      () => {
        armedFor = Number.POSITIVE_INFINITY;
        const before = ended.size;
        settle();
        arm();
        if (ended.size > before) onOver();
      },
      Math.min(Math.max(Math.ceil(next - monotonic()), 1), MAX_TIMER_MS),
    );
    timer.unref();
  }

  function remove(name: string): void {
    const countdown = running.get(name) ?? ended.get(name);
    if (countdown === undefined) return;
    count(countdown.worker, -1);
    running.delete(name);
    ended.delete(name);
  }

  return {
    start({ shardId, attempt }, ms, heldMs, worker) {
      const name = nameOf({ shardId, attempt });
      remove(name);
      const now = monotonic();
      const countdown = { key: { shardId, attempt }, worker, ms, at: now + Math.min(ms, heldMs), latest: now + heldMs };
      running.set(name, countdown);
      count(worker, 1);
      push(heap, { name, at: countdown.at });
      arm();
    },
    renew(key) {
      const name = nameOf(key);
      const now = monotonic();
      const countdown = running.get(name) ?? ended.get(name);
      if (countdown === undefined || countdown.latest <= now) return;
      countdown.at = Math.min(now + countdown.ms, countdown.latest);
      if (!ended.delete(name)) return;
      running.set(name, countdown);
      push(heap, { name, at: countdown.at });
      arm();
    },
    stop: (key) => remove(nameOf(key)),
    isOver(key) {
      settle();
      return ended.has(nameOf(key));
    },
    over() {
      settle();
      return Array.from(ended.values(), ({ key }) => key);
    },
    workers: () => held.size,
    close() {
      clearTimeout(timer);
      for (const map of [running, ended, held]) map.clear();
      heap.length = 0;
    },
  };
}

function push(heap: Array<{ name: string; at: number }>, item: { name: string; at: number }): void {
  let at = heap.length;
  heap.push(item);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heap[parent] as typeof item;
    if (above.at <= item.at) break;
    heap[at] = above;
    at = parent;
  }
  heap[at] = item;
}

function pop(heap: Array<{ name: string; at: number }>): void {
  const item = heap.pop();
  if (item === undefined || heap.length === 0) return;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && (heap[child + 1] as typeof item).at < (heap[child] as typeof item).at) child += 1;
    const below = heap[child] as typeof item;
    if (below.at >= item.at) break;
    heap[at] = below;
    at = child;
  }
  heap[at] = item;
}

import type { AttemptKey } from './store.ts';

/**
 * Leases counted down on a clock that only grows, so that a jump of the wall clock neither ends a lease nor keeps it for ever. The deadlines in the
 * store are for what remains after a restart.
 */
export interface Countdowns {
  /** `heldMs` bounds what renewals can make of it. */
  start(key: AttemptKey, ms: number, heldMs: number): void;
  renew(key: AttemptKey, ms: number): void;
  stop(key: AttemptKey): void;
  isOver(key: AttemptKey): boolean;
  over(): AttemptKey[];
  close(): void;
}

/** setTimeout's longest wait; a longer countdown is looked at again then. */
const MAX_TIMER_MS = 0x7fff_ffff;

/** @param onOver called once after one or more have ended @param monotonic ms that only grow */
export function createCountdowns(monotonic: () => number, onOver: () => void): Countdowns {
  const ends = new Map<string, { key: AttemptKey; at: number; latest: number }>();
  let timer: NodeJS.Timeout | undefined;
  const nameOf = ({ shardId, attempt }: AttemptKey) => `${shardId}#${attempt}`;

  function arm(): void {
    clearTimeout(timer);
    if (ends.size === 0) return;
    const next = Math.min(...Array.from(ends.values(), (end) => end.at));
    timer = setTimeout(
      () => {
        if (over().length > 0) onOver();
        else arm();
      },
      Math.min(Math.max(Math.ceil(next - monotonic()), 1), MAX_TIMER_MS),
    );
    timer.unref();
  }

  function over(): AttemptKey[] {
    const now = monotonic();
    return Array.from(ends.values())
      .filter((end) => end.at <= now)
      .map((end) => end.key);
  }

  return {
    start(key, ms, heldMs) {
      const { shardId, attempt } = key;
      const now = monotonic();
      ends.set(nameOf(key), { key: { shardId, attempt }, at: now + ms, latest: now + heldMs });
      arm();
    },
    renew(key, ms) {
      const end = ends.get(nameOf(key));
      if (end === undefined) return;
      end.at = Math.min(monotonic() + ms, end.latest);
      arm();
    },
    stop(key) {
      if (ends.delete(nameOf(key))) arm();
    },
    isOver(key) {
      const end = ends.get(nameOf(key));
      return end !== undefined && end.at <= monotonic();
    },
    over,
    close() {
      clearTimeout(timer);
      ends.clear();
    },
  };
}

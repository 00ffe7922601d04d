import type { Shard } from '../core/contract/shard.ts';
import type { AttemptRecord, Sequel } from './store.ts';

/** A shard that fails so often with the same code fails for good: its model or its inputs are at fault. */
const SAME_FAILURES = 3;
/** The same, whatever the codes. */
const FAILURES = 10;
/** A worker that dies may have been killed by others (memory), so more is allowed, but not for ever. */
const CRASHES = 5;
/** Pausing is no failure, but each attempt is a row. */
const ATTEMPTS = 1000;
/** Heartbeats keep a lease this much longer than the shard may run: fetching, and waiting behind the shard before it. */
const MAX_HELD_BEYOND_RUN_MS = 86_400_000;

/** How long heartbeats can keep a lease at most. */
export function maxHeldMs(shard: Shard): number {
  return shard.limits.wallMs + MAX_HELD_BEYOND_RUN_MS;
}

/**
 * What is left of a lease whose deadline is all that a restart knows, where nobody else's clock is concerned: never more than a whole lease, whatever the
 * clock did meanwhile.
 */
export function remainingMs(deadline: number, now: number, leaseMs: number): number {
  return Math.min(Math.max(deadline - now, 0), leaseMs);
}

/**
 * What becomes of a shard after these attempts, oldest first, the last of which has just ended without acceptance.
 * @param origin a stranger's wrong results say nothing against a shard, however many there are
 */
export function sequelOf(
  attempts: readonly Pick<AttemptRecord, 'shardId' | 'state' | 'reason' | 'failure'>[],
  origin: Shard['origin'],
): Sequel {
  const last = attempts.at(-1);
  if (last === undefined) return { state: 'queued' };
  // A stage's lease ends at its audit, before it has a result to refuse.
  const isWrong = ({ state, failure }: (typeof attempts)[number]) => state === 'rejected' || failure?.code === 'AUDIT_FAILED';
  const counts = (attempt: (typeof attempts)[number]) => attempt.reason === 'failed' && !(origin === 'network' && isWrong(attempt));
  const failed = attempts.filter(counts);
  if (counts(last) && last.failure !== null) {
    const { failure } = last;
    const same = failed.filter((attempt) => attempt.failure?.code === failure.code).length;
    if (same >= SAME_FAILURES || failed.length >= FAILURES) return { state: 'failed', failure };
  }
  if (attempts.filter((attempt) => attempt.reason === 'crashed').length >= CRASHES) {
    return { state: 'failed', failure: last.failure ?? { code: 'WORKER_CRASHED', params: { how: `${CRASHES} attempts` } } };
  }
  if (attempts.length >= ATTEMPTS) return { state: 'failed', failure: { code: 'LEASE_EXPIRED', params: { shard: last.shardId } } };
  return { state: 'queued' };
}

/** How long practice waits (ms) after so many failures in a row, so that a broken worker doesn't spin: none for two, then doubling up to a minute. */
export function practiceBackOffMs(failuresInARow: number): number {
  return failuresInARow < 3 ? 0 : Math.min(1000 * 2 ** (failuresInARow - 3), 60_000);
}

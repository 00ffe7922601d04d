import type { LeaseRequest } from '../core/contract/network.ts';
import type { Address } from '../core/contract/receipt.ts';
import type { Choice } from './choosing.ts';
import type { Context } from './context.ts';
import { createCountdowns } from './countdown.ts';
import { refusalOf } from './leasing/demand.ts';
import { expectedMs, lateAfterMs } from './leasing/pace.ts';
import type { NewLease } from './leasing/records.ts';
import type { AttemptKey } from './store.ts';

/** As many late shards are looked at for one machine. */
const LOOK_AT = 64;

/**
 * Work that is late, and the only one that its job still waits for, is given to a second machine. Whose valid answer comes first is paid; the other one is
 * told to stop, and is not blamed.
 */
export interface Doubling {
  /** A lease began: from when on it is late is counted by this coordinator's own clock. */
  start(lease: NewLease): void;
  stop(key: AttemptKey): void;
  /** Late work for this machine; null where there is none. */
  late(worker: Address, request: LeaseRequest): Promise<Choice | null>;
  close(): void;
}

/** @param onLate called when work has become late, and another machine may want it */
export function createDoubling({ store, monotonic, money }: Context, onLate: () => void): Doubling {
  const lateness = createCountdowns(monotonic, onLate);

  return {
    start(lease) {
      if (lease.expectedMs === null) return;
      const ms = lateAfterMs(lease.expectedMs);
      lateness.start(lease, ms, ms);
    },
    stop: lateness.stop,
    async late(worker, request) {
      for (const key of lateness.over().slice(0, LOOK_AT)) {
        const line = await store.lineOf(key.shardId);
        // As long as others of its job wait, a machine does more good with one of those.
        if (line === null || line.jobQueued > 0 || refusalOf(line.demand, request, money) !== null) continue;
        const record = await store.shard(key.shardId);
        if (record === null || record.state !== 'leased') continue;
        const attempts = await store.attemptsOf(key.shardId);
        if (attempts.filter(({ state }) => state === 'leased').length !== 1 || attempts.some((each) => each.worker === worker)) continue;
        const { own } = await store.paces(worker, line.demand.model, line.demand.price.unit);
        const expected = expectedMs(record.shard, own);
        return { record, costMs: 0, expectedMs: expected, hasModel: request.warmModels.includes(line.demand.model) };
      }
      return null;
    },
    close: lateness.close,
  };
}

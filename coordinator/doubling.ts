import type { LeaseRequest } from '../core/contract/network.ts';
import type { Address } from '../core/contract/receipt.ts';
import type { Choice } from './choosing.ts';
import type { Context } from './context.ts';
import { createCountdowns } from './countdown.ts';
import { refusalOf } from './leasing/demand.ts';
import { expectedMs, fetchMs, lateAfterMs, leaseMsOf } from './leasing/pace.ts';
import type { NewLease } from './leasing/records.ts';
import type { AttemptKey } from './store.ts';

/** As many late shards are looked at for one machine. */
const LOOK_AT = 256;
/** What can't be told now, or need not be done again yet, is looked at again after this. */
const LOOK_AGAIN_MS = 5000;

/**
 * Work that is late, and that its job still waits for when no other shard of it waits, is given to a second machine. Whose valid answer comes first is
 * paid; the other one is told to stop, and is not blamed.
 */
export interface Doubling {
  /** A lease began: from when on it is late is counted by this coordinator's own clock. */
  start(lease: NewLease): void;
  stop(key: AttemptKey): void;
  /** How far the one who has it is, in [0, 1]. */
  progressed(key: AttemptKey, fraction: number): void;
  /** Late work for this machine; null where there is none. */
  late(worker: Address, request: LeaseRequest): Promise<Choice | null>;
  close(): void;
}

/** @param onLate called when work has become late, and another machine may want it */
export function createDoubling({ store, monotonic, money, leaseBounds }: Context, onLate: () => void): Doubling {
  const lateness = createCountdowns(monotonic, onLate);
  /** When each lease began, how long it was expected to take, and when it ends by what its worker told. */
  const begun = new Map<string, { at: number; expectedMs: number | null; endsAt: number | null }>();
  const nameOf = ({ shardId, attempt }: AttemptKey) => `${shardId}#${attempt}`;

  function lookAgain(key: AttemptKey, ms: number): void {
    lateness.start(key, ms, ms);
  }

  return {
    start({ shardId, attempt, expectedMs }) {
      begun.set(nameOf({ shardId, attempt }), { at: monotonic(), expectedMs, endsAt: null });
      lookAgain({ shardId, attempt }, expectedMs === null ? LOOK_AGAIN_MS : lateAfterMs(expectedMs));
    },
    stop(key) {
      lateness.stop(key);
      begun.delete(nameOf(key));
    },
    progressed(key, fraction) {
      const lease = begun.get(nameOf(key));
      // At the pace that it had so far.
      if (lease !== undefined && fraction > 0) lease.endsAt = lease.at + (monotonic() - lease.at) / fraction;
    },
    async late(worker, request) {
      for (const key of lateness.over().slice(0, LOOK_AT)) {
        const line = await store.lineOf(key.shardId);
        const record = await store.shard(key.shardId);
        const since = begun.get(nameOf(key));
        const attempts = await store.attemptsOf(key.shardId);
        const held = attempts.filter(({ state }) => state === 'leased');
        if (line === null || record?.state !== 'leased' || since === undefined || !held.some(({ attempt }) => attempt === key.attempt)) {
          lateness.stop(key);
          begun.delete(nameOf(key));
          continue;
        }
        const { own, all } = await store.paces(worker, line.demand.model, line.demand.price.unit);
        const took = since.expectedMs ?? expectedMs(record.shard, all);
        const leftMs = took === null ? LOOK_AGAIN_MS : since.at + lateAfterMs(took) - monotonic();
        // As long as others of its job wait, a machine does more good with one of those.
        if (leftMs > 0 || line.jobQueued > 0 || held.length > 1) {
          lookAgain(key, Math.max(leftMs, LOOK_AGAIN_MS));
          continue;
        }
        if (refusalOf(line.demand, request, money) !== null || attempts.some((each) => each.worker === worker)) continue;
        const takes = expectedMs(record.shard, own);
        // It will be done before this machine could be.
        if (since.endsAt !== null && since.endsAt - monotonic() < (takes ?? took ?? 0)) continue;
        const here = request.warmModels.includes(line.demand.model) || request.diskModels?.includes(line.demand.model) === true;
        const expected = takes === null ? null : takes + (here ? 0 : fetchMs(line.demand.modelBytes));
        return { record, costMs: 0, expectedMs: expected, leaseMs: leaseMsOf(takes, here, leaseBounds) };
      }
      return null;
    },
    close() {
      lateness.close();
      begun.clear();
    },
  };
}

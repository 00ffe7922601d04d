import { Ahead } from '../core/contract/ahead.ts';
import type { LeaseReply, LeaseRequest } from '../core/contract/network.ts';
import type { AttemptKey } from './store.ts';

/** So much work is lent at once: recording it waits for the disk, which takes as long for one lease as for many. */
const AT_ONCE_MS = 50;

/** Leases for a worker of this process, several of them in one step of the store where shards are short. */
export interface LendingAhead {
  lease(request: LeaseRequest): Promise<LeaseReply>;
  /** It was taken back meanwhile. */
  drop(key: AttemptKey): void;
  /** What was not asked for yet goes back. */
  dropAll(reason: 'paused' | 'stopped'): Promise<void>;
}

export interface Lender {
  lease(request: LeaseRequest): Promise<LeaseReply>;
  release(key: AttemptKey, reason: 'paused' | 'stopped'): Promise<void>;
  /** ms that only grow. */
  monotonic(): number;
}

export function createLendingAhead({ lease, release, monotonic }: Lender): LendingAhead {
  const ahead = new Ahead(AT_ONCE_MS);
  /** Of what lies here; null while nothing does. */
  let lentAt: number | null = null;
  let refilling: Promise<void> | null = null;

  async function ask(request: LeaseRequest): Promise<LeaseReply> {
    const at = monotonic();
    const reply = await lease({ ...request, count: ahead.count() });
    ahead.answered(monotonic() - at);
    if (reply.type === 'lease') lentAt = monotonic();
    return reply;
  }

  function refill(request: LeaseRequest): void {
    if (refilling !== null || !ahead.runsLow()) return;
    // A stage begins at once or not at all: by the time that this is asked for there may be no room for another.
    refilling = ask({ ...request, stages: 0 })
      .then((reply) => {
        if (reply.type === 'lease') ahead.add([reply.lease, ...(reply.further ?? [])]);
      })
      // Whoever asks next is told.
      .catch(() => undefined)
      .finally(() => {
        refilling = null;
      });
  }

  async function dropAll(reason: 'paused' | 'stopped'): Promise<void> {
    await refilling;
    for (const { shard, attempt } of ahead.empty()) await release({ shardId: shard.id, attempt }, reason);
  }

  /** What has lain here for a while may be over soon, since nothing tells the coordinator that it is still wanted. */
  function isOld(): boolean {
    const [next] = ahead.leases();
    return next !== undefined && lentAt !== null && monotonic() - lentAt > next.leaseMs / 3;
  }

  return {
    async lease(request) {
      if (ahead.isStale(request) || isOld()) await dropAll('stopped');
      if (ahead.size === 0) await refilling;
      const now = ahead.take(monotonic());
      if (now !== undefined) {
        refill(request);
        return { type: 'lease', lease: now };
      }
      const reply = await ask(request);
      if (reply.type === 'no-work') {
        ahead.ranDry();
        return reply;
      }
      ahead.handedOut(monotonic());
      ahead.add(reply.further ?? []);
      return { type: 'lease', lease: reply.lease };
    },
    drop: ({ shardId, attempt }) => ahead.drop(shardId, attempt),
    dropAll,
  };
}

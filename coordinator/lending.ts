import { asHearthlendError } from '../core/contract/errors.ts';
import { ref } from '../core/contract/messages.ts';
import type { LeaseReply, LeaseRequest } from '../core/contract/network.ts';
import { type Context, letGoOfShard } from './context.ts';
import { chooseShard, maxHeldMs, remainingMs, sequelOf } from './leasing.ts';
import type { Practising } from './practising.ts';
import { createSerial } from './serial.ts';
import type { Worker } from './service.ts';
import type { AttemptEnd, AttemptKey, AttemptRecord, Failure, ShardRecord } from './store.ts';

/** As many queued shards as are looked at for one lease. */
const LOOK_AT = 32;
/** When to try again to record that a lease has ended, where the store could not. */
const RETRY_MS = 5000;

/** Lends shards, renews leases, takes them back. */
export interface Lending {
  lease(worker: Worker, request: LeaseRequest): Promise<LeaseReply>;
  progress(worker: Worker, key: AttemptKey): Promise<boolean>;
  release(worker: Worker, key: AttemptKey, reason: 'paused' | 'stopped' | 'crashed' | 'failed', failure: Failure | null): Promise<void>;
  /** Ends the leases of a worker but these: it died before it could write the others down. What it handed in stays. */
  takeBack(worker: Worker, holds: readonly AttemptKey[]): Promise<void>;
  /** Ends leases that are over, so that their shards can be lent again. */
  expire(): Promise<void>;
  /** `expire`, called by a timer that can't pass an error on. */
  expireInBackground(): void;
  /** Goes on counting down what a restart found open. */
  resume(): Promise<void>;
}

/** @param isSettling whether an answer to this attempt is being worked out just now */
export function createLending(context: Context, practising: Practising | null, isSettling: (key: AttemptKey) => boolean): Lending {
  const { store, countdowns, clock, leaseMs } = context;
  // One lease at a time, so that two don't both take the last shard of the day's practice.
  const serially = createSerial();

  async function endAttempt(attempt: AttemptRecord, end: AttemptEnd): Promise<void> {
    const from = attempt.state === 'leased' ? 'leased' : 'submitted';
    const record = await store.shard(attempt.shardId);
    if (record === null) return;
    const history = await store.attemptsOf(attempt.shardId);
    const sequel = sequelOf(history.map((each) => (each.attempt === attempt.attempt ? { ...each, ...end } : each)));
    if (!(await store.endAttempt(attempt, from, end, sequel, clock()))) return;
    countdowns.stop(attempt);
    const { shard } = record;
    if (shard.origin === 'practice' && (end.reason === 'failed' || end.reason === 'crashed')) practising?.ended('failed');
    if (sequel.state === 'failed') await letGoOfShard(context, shard);
    else {
      if (shard.origin !== 'practice') await context.jobChanged(shard.jobId);
      context.emit({ type: 'work' });
    }
  }

  async function expire(): Promise<void> {
    for (const key of countdowns.over()) {
      const attempt = await store.attempt(key);
      if (attempt === null || isSettling(key) || !isOpen(attempt)) countdowns.stop(key);
      else await endAttempt(attempt, { state: 'expired', reason: 'expired', failure: null });
    }
  }

  /** The shard to lend, made where practice has none waiting; or why there is none. */
  async function choose(request: LeaseRequest): Promise<ShardRecord | LeaseReply> {
    const chosen = chooseShard(await store.queued(LOOK_AT), request);
    if (chosen !== undefined && chosen.shard.origin !== 'practice') return chosen;
    if (practising === null || !request.practice) return { type: 'no-work', reason: ref('no-work.queue-empty'), retryMs: null };
    const refusal = practising.refusal();
    if (refusal !== undefined) return { type: 'no-work', ...refusal };
    const record = chosen ?? (await practising.next());
    await practising.prepare(record);
    return record;
  }

  return {
    expire,
    expireInBackground() {
      expire().catch((thrown: unknown) => {
        context.log('error', 'lease-not-ended', { detail: asHearthlendError(thrown).message });
        for (const key of countdowns.over()) countdowns.start(key, RETRY_MS, RETRY_MS);
      });
    },
    lease: (worker, request) =>
      serially(async () => {
        await expire();
        const chosen = await choose(request);
        if ('type' in chosen) return chosen;
        const { shard } = chosen;
        const attempt = chosen.attempt + 1;
        const leasedAt = clock();
        const deadline = leasedAt + leaseMs;
        const lent = await store.lend({
          shardId: shard.id,
          attempt,
          worker: worker.address,
          payee: worker.payee,
          state: 'leased',
          leasedAt,
          deadline,
          reason: null,
          failure: null,
          submission: null,
          audit: null,
          reply: null,
        });
        // Cancelled, or lent by another coordinator, since it was chosen.
        if (!lent) return { type: 'no-work', reason: ref('no-work.lease-held'), retryMs: 1 };
        countdowns.start({ shardId: shard.id, attempt }, leaseMs, maxHeldMs(shard));
        if (shard.origin !== 'practice') await context.jobChanged(shard.jobId);
        return { type: 'lease', lease: { shard, attempt, deadline, leaseMs } };
      }),
    async progress(worker, key) {
      await expire();
      const open = (await store.openAttempts()).filter((attempt) => attempt.worker === worker.address);
      const deadline = clock() + leaseMs;
      for (const attempt of open) {
        if (attempt.state === 'leased' && (await store.renew(attempt, deadline))) countdowns.renew(attempt, leaseMs);
      }
      return open.some((attempt) => attempt.shardId === key.shardId && attempt.attempt === key.attempt);
    },
    async release(worker, key, reason, failure) {
      const attempt = await store.attempt(key);
      // Nothing is lent then, which is what the worker wants.
      if (attempt === null || attempt.worker !== worker.address || !isOpen(attempt) || isSettling(key)) return;
      await endAttempt(attempt, { state: reason === 'failed' ? 'failed' : 'released', reason, failure });
    },
    async takeBack(worker, holds) {
      for (const attempt of await store.openAttempts()) {
        const held = holds.some(({ shardId, attempt: number }) => shardId === attempt.shardId && number === attempt.attempt);
        if (held || attempt.state !== 'leased' || attempt.worker !== worker.address) continue;
        await endAttempt(attempt, { state: 'released', reason: 'stopped', failure: null });
      }
    },
    async resume() {
      for (const attempt of await store.openAttempts()) {
        // A result that was committed to and not answered has a whole lease to be sent again.
        const ms = attempt.state === 'leased' ? remainingMs(attempt.deadline, clock(), leaseMs) : leaseMs;
        const record = await store.shard(attempt.shardId);
        if (record !== null) countdowns.start(attempt, ms, maxHeldMs(record.shard));
      }
    },
  };
}

function isOpen(attempt: AttemptRecord): boolean {
  return attempt.state === 'leased' || attempt.state === 'submitted' || attempt.state === 'disputed';
}

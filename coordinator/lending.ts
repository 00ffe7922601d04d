import { asHearthlendError } from '../core/contract/errors.ts';
import { type MessageRef, ref } from '../core/contract/messages.ts';
import type { LeaseReply, LeaseRequest } from '../core/contract/network.ts';
import { createSerial } from '../core/contract/serial.ts';
import type { Lease, Shard } from '../core/contract/shard.ts';
import { type Choice, createChoosing } from './choosing.ts';
import { type Context, letGoOfShard } from './context.ts';
import { createDoubling } from './doubling.ts';
import { holderOf } from './holding.ts';
import type { NewLease } from './leasing/records.ts';
import { maxHeldMs, remainingMs, sequelOf } from './leasing.ts';
import type { Practising } from './practising.ts';
import type { Worker } from './service.ts';
import type { AttemptEnd, AttemptKey, AttemptRecord, Failure, Sequel, ShardRecord } from './store.ts';
import { trackLeases } from './tracking.ts';
import { drawCanary } from './trust/canaries.ts';
import { createWaiting, type Waiting } from './waiting.ts';

/** When to try again to record that a lease has ended, where the store could not. */
const RETRY_MS = 5000;
/** Attempts that one worker may have open: lent, or handed in and not answered yet. */
const MAX_OPEN = 128;
/** Requests that are being decided at once; whoever comes beyond them comes again. */
const MAX_DECIDING = 2048;
/** Others may take what was chosen first: so often another choice is made. */
const TRIES = 3;
/** A machine that there is no work for asks again after about so long, in case it was not told of some. */
const ASK_AGAIN_MS = 30_000;
const BUSY_MS = 2000;

/** Lends shards, renews leases, takes them back. */
export interface Lending {
  lease(worker: Worker, request: LeaseRequest): Promise<LeaseReply>;
  /** @param fraction how far it is, in [0, 1]; null where that isn't known */
  progress(worker: Worker, key: AttemptKey, fraction: number | null): Promise<boolean>;
  release(worker: Worker, key: AttemptKey, reason: 'paused' | 'stopped' | 'crashed' | 'failed', failure: Failure | null): Promise<void>;
  /** Ends the leases of a worker but these: it died before it could write the others down. What it handed in stays. */
  takeBack(worker: Worker, holds: readonly AttemptKey[]): Promise<void>;
  /** Ends leases that are over, so that their shards can be lent again. Called by a timer that can't pass an error on. */
  expireInBackground(): void;
  /** Goes on counting down what a restart found open. */
  resume(): Promise<void>;
  /** Tells machines that wait that there may be work. */
  wake: Waiting['wake'];
  close(): void;
}

type NoWork = Extract<LeaseReply, { type: 'no-work' }>;

/** @param isSettling whether an answer to this attempt is being worked out just now */
export function createLending(context: Context, practising: Practising | null, isSettling: (key: AttemptKey) => boolean): Lending {
  const { store, countdowns, clock, random, origin } = context;
  const waiting = createWaiting(context, (worker) => context.emit({ type: 'work' }, worker));
  const choosing = createChoosing(context, countdowns.workers);
  const doubling = createDoubling(context, () => waiting.wake(1));
  const untrack = trackLeases(context, doubling, waiting);
  // One choice at a time: the next one knows of it.
  const serially = createSerial();
  let deciding = 0;
  let expiring: Promise<void> | undefined;

  async function endAttempt(attempt: AttemptRecord, end: AttemptEnd): Promise<void> {
    const from = attempt.state === 'leased' ? 'leased' : 'submitted';
    const record = await store.shard(attempt.shardId);
    if (record === null) return;
    const history = await store.attemptsOf(attempt.shardId);
    // A shard of no job that brought no answer is wanted by nobody else.
    const spare = record.shard.origin === 'network' && (await store.isSpare(record.shard.id));
    const sequel: Sequel = spare
      ? { state: 'failed', failure: end.failure ?? { code: 'LEASE_EXPIRED', params: { shard: attempt.shardId } } }
      : sequelOf(
          history.map((each) => (each.attempt === attempt.attempt ? { ...each, ...end } : each)),
          record.shard.origin,
        );
    const ended =
      end.state === 'expired'
        ? await store.expire(attempt, attempt.deadline, sequel, clock())
        : await store.endAttempt(attempt, from, end, sequel, clock());
    if (!ended) return;
    countdowns.stop(attempt);
    const { shard } = record;
    if (shard.origin === 'practice' && (end.reason === 'failed' || end.reason === 'crashed')) practising?.ended('failed');
    if (sequel.state === 'failed') {
      await letGoOfShard(context, shard);
      if (spare) await context.holding.letGo(holderOf.spareShard(shard.id));
    } else {
      if (shard.origin !== 'practice') await context.jobChanged(shard.jobId);
      context.emit({ type: 'work' });
    }
  }

  /** Ends what is over. Whoever asks meanwhile waits for the same. */
  function expire(): Promise<void> {
    expiring ??= endOver().finally(() => {
      expiring = undefined;
    });
    return expiring;
  }

  async function endOver(): Promise<void> {
    for (const key of countdowns.over()) {
      const attempt = await store.attempt(key);
      if (attempt === null || isSettling(key) || !isOpen(attempt)) countdowns.stop(key);
      else await endAttempt(attempt, { state: 'expired', reason: 'expired', failure: null });
    }
  }

  function noWork(reason: MessageRef, retryMs: number | null = ASK_AGAIN_MS): NoWork {
    // In one trust domain nobody is missed when work comes. Strangers come back at different times, not all at once.
    const later = origin === 'own' || retryMs === null ? null : Math.ceil(retryMs * (0.5 + random()));
    return { type: 'no-work', reason, retryMs: later };
  }

  /** Leases for this machine, on their way to the log; or why there are none. */
  async function decide(worker: Worker, request: LeaseRequest): Promise<{ leases: Promise<Lease[]> } | NoWork> {
    const open = origin === 'own' ? 0 : (await store.openAttemptsOf(worker.address)).length;
    if (open >= MAX_OPEN) return noWork(ref('no-work.too-many', { count: open }), BUSY_MS);
    const count = Math.min(request.count ?? 1, MAX_OPEN - open);
    const chosen = await choosing.choose(worker.address, request, count, origin === 'own' || !waiting.others(worker.address));
    const twin = origin === 'own' ? null : await store.twinFor(worker.address);
    if ('choices' in chosen) return { leases: lend(worker, await withSpare(worker, chosen.choices, twin), chosen.lagMs) };
    if (twin !== null) return { leases: lend(worker, [await choosing.alone(worker.address, request, twin)], 0) };
    const second = await doubling.late(worker.address, request);
    if (second !== null) return { leases: lendAgain(worker, second) };
    if (practising === null || !request.practice) return noWork(chosen.reason ?? ref('no-work.queue-empty'));
    const refusal = practising.refusal();
    if (refusal !== undefined) return { type: 'no-work', ...refusal };
    const record = (await store.waitingPractice()) ?? (await practising.next());
    await practising.prepare(record);
    return { leases: lend(worker, [{ record, costMs: 0, expectedMs: null, leaseMs: context.leaseMs }], 0) };
  }

  /** A stranger is lent something now and then whose answer is known, or to be held against another's, anywhere among what it is lent. */
  async function withSpare(worker: Worker, choices: Choice[], twin: ShardRecord | null): Promise<Choice[]> {
    const at = Math.floor(random() * choices.length);
    const replaced = choices[at];
    if (replaced === undefined || origin === 'own') return choices;
    const record = twin ?? (await drawCanary(context, worker.address, replaced.record.shard, choices.length, random));
    // What it takes the place of goes on waiting.
    return record === null ? choices : choices.with(at, { ...replaced, record, costMs: 0 });
  }

  function leaseOf(worker: Worker, { record, costMs, expectedMs, leaseMs }: Choice): { lease: Lease; entry: NewLease } {
    const { shard } = record;
    const attempt = record.attempt + 1;
    const leasedAt = clock();
    const deadline = leasedAt + leaseMs;
    const { address, payee } = worker;
    const heldMs = maxHeldMs(shard);
    return {
      lease: { shard, attempt, deadline, leaseMs },
      entry: { shardId: shard.id, attempt, worker: address, payee, leasedAt, deadline, heldMs, expectedMs, costMs },
    };
  }

  async function lend(worker: Worker, choices: readonly Choice[], lagMs: number): Promise<Lease[]> {
    const made = choices.map((choice) => leaseOf(worker, choice));
    const lending = store.lend(
      made.map(({ entry }) => entry),
      lagMs,
    );
    choosing.reserve(choices, lending);
    const lent = await lending;
    return made
      .map(({ lease }) => lease)
      .filter(({ shard, attempt }) => lent.some((key) => key.shardId === shard.id && key.attempt === attempt));
  }

  async function lendAgain(worker: Worker, choice: Choice): Promise<Lease[]> {
    const { lease, entry } = leaseOf(worker, choice);
    return (await store.lendAgain(entry)) ? [lease] : [];
  }

  async function lease(worker: Worker, request: LeaseRequest): Promise<LeaseReply> {
    await expire();
    const { terms } = context;
    if (terms !== null) {
      if (!terms.isolation.includes(request.isolation)) return noWork(ref('no-work.isolation', { accepted: terms.isolation.join(', ') }));
      context.machines.seen(worker, request);
    }
    for (let tries = 0; tries < TRIES; tries += 1) {
      const decided = await serially(() => decide(worker, request));
      if ('type' in decided) {
        if (origin === 'network') waiting.add(worker.address, request);
        return decided;
      }
      const [first, ...further] = await decided.leases;
      if (first === undefined) continue;
      waiting.remove(worker.address);
      await tellJobs([first, ...further].map((each) => each.shard));
      return further.length === 0 ? { type: 'lease', lease: first } : { type: 'lease', lease: first, further };
    }
    // Cancelled, or lent by another coordinator, each time since it was chosen.
    return { type: 'no-work', reason: ref('no-work.lease-held'), retryMs: origin === 'own' ? 1 : Math.ceil(BUSY_MS * (0.5 + random())) };
  }

  async function tellJobs(shards: readonly Shard[]): Promise<void> {
    const jobs = shards.filter((shard) => shard.origin !== 'practice').map((shard) => shard.jobId);
    for (const job of new Set(jobs)) await context.jobChanged(job);
  }

  return {
    async lease(worker, request) {
      if (deciding >= MAX_DECIDING) return noWork(ref('no-work.busy'), BUSY_MS);
      deciding += 1;
      try {
        return await lease(worker, request);
      } finally {
        deciding -= 1;
      }
    },
    async progress(worker, key, fraction) {
      await expire();
      await store.renewAll(worker.address, clock() + context.leaseMs);
      const attempt = await store.attempt(key);
      const held = attempt !== null && attempt.worker === worker.address && isOpen(attempt);
      if (held && fraction !== null) doubling.progressed(key, fraction);
      return held;
    },
    async release(worker, key, reason, failure) {
      const attempt = await store.attempt(key);
      // Nothing is lent then, which is what the worker wants.
      if (attempt === null || attempt.worker !== worker.address || !isOpen(attempt) || isSettling(key)) return;
      await endAttempt(attempt, { state: reason === 'failed' ? 'failed' : 'released', reason, failure });
    },
    async takeBack(worker, holds) {
      for (const attempt of await store.openAttemptsOf(worker.address)) {
        const held = holds.some(({ shardId, attempt: number }) => shardId === attempt.shardId && number === attempt.attempt);
        if (held || attempt.state !== 'leased') continue;
        await endAttempt(attempt, { state: 'released', reason: 'stopped', failure: null });
      }
    },
    expireInBackground() {
      expire().catch((thrown: unknown) => {
        context.log('error', 'lease-not-ended', { detail: asHearthlendError(thrown).message });
        for (const key of countdowns.over()) countdowns.start(key, RETRY_MS, RETRY_MS);
      });
    },
    async resume() {
      for (const attempt of await store.openAttempts()) {
        const record = await store.shard(attempt.shardId);
        // A whole lease from now on: the deadline may be of another coordinator's clock. So is it for a result that was committed to and not answered.
        const known = origin === 'own' && attempt.state === 'leased';
        const ms = known ? remainingMs(attempt.deadline, clock(), context.leaseMs) : context.leaseMs;
        if (record !== null) countdowns.start(attempt, ms, maxHeldMs(record.shard), attempt.worker);
      }
    },
    wake: waiting.wake,
    close() {
      untrack();
      doubling.close();
    },
  };
}

function isOpen(attempt: AttemptRecord): boolean {
  return attempt.state === 'leased' || attempt.state === 'submitted' || attempt.state === 'disputed';
}

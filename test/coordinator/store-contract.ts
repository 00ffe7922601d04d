import { beforeEach, describe, expect, test } from 'vitest';
import { createChaining } from '../../coordinator/chaining.ts';
import type { NewLease } from '../../coordinator/leasing/records.ts';
import type { PracticeBook, ShardRecord, Store } from '../../coordinator/store.ts';
import type { JobStatus } from '../../core/contract/network.ts';
import type { SignedBatch, WorkReceipt } from '../../core/contract/receipt.ts';
import { hashReceipt } from '../../core/contract/receipt-hash.ts';
import type { Submission } from '../../core/contract/shard.ts';

const A = `0x${'a'.repeat(40)}`;
const B = `0x${'b'.repeat(40)}`;
const SIGNATURE = `0x${'1'.repeat(130)}`;

export function jobOf(id: string, createdAt: number): JobStatus {
  return { id, network: 'local', kind: 'onnx.run', state: 'queued', createdAt, finishedAt: null, shards: 1, accepted: 0, error: null };
}

export function shardOf(id: string, jobId: string, createdAt: number): ShardRecord {
  return {
    shard: {
      id,
      jobId,
      network: 'local',
      kind: 'onnx.run',
      outputs: [],
      model: { digest: '0'.repeat(64), bytes: 1 },
      inputs: { digest: '1'.repeat(64), bytes: 1 },
      limits: { wallMs: 1000, memoryBytes: 1, outputBytes: 10 },
      session: { intraOpThreads: 0, graphOptimization: 'all' },
      price: { asset: 'hearth:local/credit:practice', unit: 'run', perUnit: '1' },
      origin: jobId === 'practice' ? 'practice' : 'own',
    },
    promptTokens: 0,
    state: 'queued',
    attempt: 0,
    createdAt,
  };
}

const NO_HASH = `0x${'0'.repeat(64)}`;

/** Something of a hash's form, of its own for each shard. */
export function hashOf(shardId: string): string {
  return `0x${Buffer.from(shardId).toString('hex').padEnd(64, '0')}`;
}

export function leaseOf(shardId: string, attempt: number, worker = A): NewLease {
  const times = { leasedAt: 100, deadline: 200, heldMs: 1000, expectedMs: null, costMs: 0 };
  return { shardId, attempt, worker, payee: worker, ...times };
}

export function submissionFor(shardId: string, attempt: number): Submission {
  return { shardId, attempt, commitment: '2'.repeat(64), outputBytes: 1, units: 1, runMs: 12.5 };
}

export function receiptFor(shardId: string, { sequence, hash } = { sequence: 0, hash: NO_HASH }, worker = A): WorkReceipt {
  return {
    network: 'local',
    jobId: 'practice',
    shardId,
    attempt: 1,
    worker,
    payee: worker,
    furtherPayees: [],
    modelHash: '0'.repeat(64),
    inputHash: '1'.repeat(64),
    outputCommitment: '2'.repeat(64),
    units: 1,
    unitPrice: '1',
    amount: '1',
    asset: 'hearth:local/credit:practice',
    time: 1,
    sequence: sequence + 1,
    previousHash: hash,
  };
}

function batchOver(first: number, last: number, worker = A): SignedBatch {
  const hash = `0x${'3'.repeat(64)}`;
  return {
    batch: { network: 'local', worker, first, last, merkleRoot: hash, headHash: hash },
    coordinatorSignature: SIGNATURE,
    workerSignature: null,
  };
}

/** What every store of a coordinator holds to. `open` gives an empty one, and where practice is kept a book of it. */
export function describeStore(name: string, open: () => Promise<{ store: Store; book?: PracticeBook }>): void {
  describe(name, () => {
    let store: Store;
    let book: PracticeBook | undefined;
    beforeEach(async () => {
      ({ store, book } = await open());
    });
    const lend = async (id: string, attempt: number, worker = A) => (await store.lend([leaseOf(id, attempt, worker)], 0)).length === 1;
    const accept = (id: string, worker = A, at = 50) =>
      store.accept({ shardId: id, attempt: 1 }, false, receiptFor(id, store.receiptHead(worker), worker), hashOf(id), at);
    const lent = async (id: string, worker = A) => {
      await store.addPractice(shardOf(id, 'practice', 1));
      expect(await lend(id, 1, worker)).toBe(true);
    };
    const accepted = async (id: string, worker = A, at = 50) => {
      await lent(id, worker);
      await store.commit(submissionFor(id, 1));
      return accept(id, worker, at);
    };

    test('jobs are listed newest first', async () => {
      await store.addJob(jobOf('late', 9), [shardOf('late.1', 'late', 9)]);
      await store.addJob(jobOf('early', 5), [shardOf('early.1', 'early', 5)]);
      expect((await store.jobs(10)).map((job) => job.id)).toEqual(['late', 'early']);
      expect(await store.job('early')).toEqual({ ...jobOf('early', 5), network: expect.any(String) });
      expect(await store.job('none')).toBeNull();
    });

    test('a job and its shards are added together or not at all', async () => {
      await store.addPractice(shardOf('taken', 'practice', 1));
      await expect(store.addJob(jobOf('j', 1), [shardOf('j.1', 'j', 1), shardOf('taken', 'j', 1)])).rejects.toThrow();
      expect(await store.job('j')).toBeNull();
      expect(await store.shard('j.1')).toBeNull();
    });

    test('a shard is lent once for each attempt, however many ask', async () => {
      await store.addPractice(shardOf('p', 'practice', 1));
      const won = await Promise.all([lend('p', 1), lend('p', 1, B)]);
      expect(won.filter(Boolean)).toHaveLength(1);
      expect(await lend('p', 2)).toBe(false);
      const end = { state: 'released', reason: 'paused', failure: null } as const;
      expect(await store.endAttempt({ shardId: 'p', attempt: 1 }, 'leased', end, { state: 'queued' }, 10)).toBe(true);
      expect(await store.endAttempt({ shardId: 'p', attempt: 1 }, 'leased', end, { state: 'queued' }, 10)).toBe(false);
      expect(await lend('p', 1)).toBe(false);
      expect(await lend('p', 2)).toBe(true);
      expect((await store.attemptsOf('p')).map((attempt) => attempt.state)).toEqual(['released', 'leased']);
      expect(await store.openAttempts()).toMatchObject([{ shardId: 'p', attempt: 2, worker: A, state: 'leased' }]);
      expect(await store.openAttemptsOf(A)).toEqual(await store.openAttempts());
      expect(await store.openAttemptsOf(B)).toEqual([]);
    });

    test('only a lease can be renewed', async () => {
      await lent('p');
      expect(await store.renewAll(A, 900)).toEqual([{ shardId: 'p', attempt: 1 }]);
      expect(await store.renewAll(B, 901)).toEqual([]);
      expect((await store.attempt({ shardId: 'p', attempt: 1 }))?.deadline).toBe(900);
      await store.commit(submissionFor('p', 1));
      expect(await store.renewAll(A, 999)).toEqual([]);
      expect(await store.attempt({ shardId: 'p', attempt: 2 })).toBeNull();
    });

    test('a commitment is recorded once, and only for a lease that is open', async () => {
      await lent('p');
      expect(await store.commit(submissionFor('p', 1))).toBe(true);
      expect(await store.commit({ ...submissionFor('p', 1), commitment: '9'.repeat(64) })).toBe(false);
      expect(await store.attempt({ shardId: 'p', attempt: 1 })).toMatchObject({ state: 'submitted', submission: submissionFor('p', 1) });
      expect((await store.shard('p'))?.state).toBe('settling');
      const end = { state: 'expired', reason: 'expired', failure: null } as const;
      expect(await store.endAttempt({ shardId: 'p', attempt: 1 }, 'leased', end, { state: 'queued' }, 10)).toBe(false);
      expect(await store.endAttempt({ shardId: 'p', attempt: 1 }, 'submitted', end, { state: 'queued' }, 10)).toBe(true);
      expect(await store.commit(submissionFor('p', 1))).toBe(false);
    });

    test('an audit is drawn once', async () => {
      await lent('p');
      await store.commit(submissionFor('p', 1));
      expect(await store.drawAudit({ shardId: 'p', attempt: 1 }, true)).toBe(true);
      expect(await store.drawAudit({ shardId: 'p', attempt: 1 }, false)).toBe(true);
    });

    test('a result is accepted once, with the receipt that follows the head, and its job is done with it', async () => {
      await store.addJob(jobOf('j', 1), [shardOf('j.1', 'j', 1)]);
      await lend('j.1', 1);
      expect((await store.job('j'))?.state).toBe('running');
      const accepted = () => store.accept({ shardId: 'j.1', attempt: 1 }, true, receiptFor('j.1'), hashOf('j.1'), 77);
      expect(await accepted()).toBe('over');
      await store.commit(submissionFor('j.1', 1));
      await store.dispute({ shardId: 'j.1', attempt: 1 });
      expect(await Promise.all([accepted(), accepted()])).toEqual(['accepted', 'over']);
      expect(store.receiptHead(A)).toEqual({ sequence: 1, hash: hashOf('j.1') });
      expect(await store.job('j')).toMatchObject({ state: 'done', accepted: 1, finishedAt: 77 });
      expect((await store.attempt({ shardId: 'j.1', attempt: 1 }))?.reply).toEqual({
        type: 'accepted',
        receipt: receiptFor('j.1'),
        audited: true,
      });
      expect(await store.openAttempts()).toEqual([]);
    });

    test('a receipt that does not follow the last one is not taken, and can be made anew', async () => {
      await accepted('1a');
      await lent('2a');
      await store.commit(submissionFor('2a', 1));
      const key = { shardId: '2a', attempt: 1 };
      expect(await store.accept(key, false, receiptFor('2a'), hashOf('2a'), 1)).toBe('moved');
      const elsewhere = { sequence: 1, hash: hashOf('another') };
      expect(await store.accept(key, false, receiptFor('2a', elsewhere), hashOf('2a'), 1)).toBe('moved');
      expect((await store.attempt(key))?.state).toBe('submitted');
      expect(await accept('2a')).toBe('accepted');
    });

    test('acceptances of one worker that are on their way at once follow each other', async () => {
      const ids = ['1a', '2a', '3a', '4a', '5a'];
      const chain = createChaining(store);
      for (const id of ids) {
        await lent(id);
        if (id !== '3a') await store.commit(submissionFor(id, 1));
      }
      const receipts = await Promise.all(
        ids.map((id) =>
          chain(
            A,
            (head) => receiptFor(id, head),
            (receipt, hash) => store.accept({ shardId: id, attempt: 1 }, false, receipt, hash, 9),
          ),
        ),
      );
      expect(receipts[2]).toBeNull();
      const recorded = await store.receiptsAfter(A, 0, 10);
      expect(recorded.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);
      expect(new Set(recorded.map(({ shardId }) => shardId))).toEqual(new Set(['1a', '2a', '4a', '5a']));
      expect(recorded.slice(1).map(({ previousHash }) => previousHash)).toEqual(recorded.slice(0, -1).map(hashReceipt));
    });

    test('a change that fails leaves everything as it was, and is told to nobody', async () => {
      await accepted('1a');
      await lent('2a');
      await store.commit(submissionFor('2a', 1));
      const names: string[] = [];
      store.onApplied(({ name }) => names.push(name));
      const broken = { ...receiptFor('2a', store.receiptHead(A)), units: 2n as unknown as number };
      await expect(store.accept({ shardId: '2a', attempt: 1 }, false, broken, hashOf('2a'), 1)).rejects.toThrow();
      expect((await store.attempt({ shardId: '2a', attempt: 1 }))?.state).toBe('submitted');
      expect(await store.receiptsAfter(A, 0, 10)).toHaveLength(1);
      expect(names).toEqual([]);
    });

    test('each change that is applied is told once, in order, with what came of it', async () => {
      const told: unknown[] = [];
      const forget = store.onApplied(({ name, result, own }) => told.push({ name, result, own }));
      await accepted('1a');
      await lend('1a', 2);
      forget();
      await lent('2a');
      expect(told).toEqual([
        { name: 'addPractice', result: undefined, own: true },
        { name: 'lend', result: [{ shardId: '1a', attempt: 1 }], own: true },
        { name: 'commit', result: true, own: true },
        { name: 'accept', result: 'accepted', own: true },
        { name: 'lend', result: [], own: true },
      ]);
    });

    test('a rejection keeps its answer, and a shard that is given up fails its job', async () => {
      await store.addJob(jobOf('j', 1), [shardOf('j.1', 'j', 1)]);
      const failure = { code: 'RESULT_MALFORMED', params: { shard: 'j.1', detail: 'x' } };
      const reply = { type: 'rejected', code: 'RESULT_MALFORMED', detail: 'x' } as const;
      for (const [attempt, sequel] of [{ state: 'queued' } as const, { state: 'failed', failure } as const].entries()) {
        await lend('j.1', attempt + 1);
        await store.commit(submissionFor('j.1', attempt + 1));
        const key = { shardId: 'j.1', attempt: attempt + 1 };
        expect(await store.reject(key, reply, failure, sequel, 40)).toBe(true);
        expect(await store.reject(key, reply, failure, sequel, 41)).toBe(false);
        expect(await store.attempt(key)).toMatchObject({ state: 'rejected', reply, failure, reason: 'failed' });
        expect((await store.job('j'))?.state).toBe(attempt === 0 ? 'queued' : 'failed');
      }
      expect(await store.job('j')).toMatchObject({ error: failure, finishedAt: 40 });
      expect(await store.waitingDemands(10)).toEqual([]);
    });

    test('cancelling ends a job with everything that is open of it, once', async () => {
      await store.addJob(jobOf('j', 1), [shardOf('j.1', 'j', 1)]);
      await lend('j.1', 1);
      const cancelled = await store.cancelJob('j', 60);
      expect(cancelled).toMatchObject({ job: { state: 'cancelled', finishedAt: 60 }, revoked: [{ shardId: 'j.1', attempt: 1 }] });
      expect(await store.cancelJob('j', 61)).toBeNull();
      expect(await store.commit(submissionFor('j.1', 1))).toBe(false);
      expect(await store.attempt({ shardId: 'j.1', attempt: 1 })).toMatchObject({ state: 'cancelled', reply: { type: 'expired' } });
      expect(await store.waitingDemands(10)).toEqual([]);
    });

    test('receipts are numbered for each worker by itself, and given in order', async () => {
      for (const id of ['1a', '2a', '3a']) await accepted(id);
      await accepted('1b', B);
      expect((await store.receiptsAfter(A, 1, 10)).map((receipt) => receipt.sequence)).toEqual([2, 3]);
      expect((await store.receiptsAfter(A, 0, 2)).map((receipt) => receipt.sequence)).toEqual([1, 2]);
      expect((await store.receiptsAfter(B, 0, 10)).map((receipt) => receipt.sequence)).toEqual([1]);
    });

    test('a batch follows the one before it, and waits for its signature', async () => {
      for (const id of ['1a', '2a', '3a']) await accepted(id);
      expect(await store.workersWithUnbatched()).toEqual([A]);
      expect((await store.unbatched(A, 2)).map((receipt) => receipt.sequence)).toEqual([1, 2]);
      expect(await store.addBatch(batchOver(2, 3))).toBe(false);
      expect(await store.addBatch(batchOver(1, 2))).toBe(true);
      expect(await store.addBatch(batchOver(1, 3))).toBe(false);
      expect((await store.unbatched(A, 10)).map((receipt) => receipt.sequence)).toEqual([3]);
      expect(await store.addBatch(batchOver(3, 3))).toBe(true);
      expect(await store.workersWithUnbatched()).toEqual([]);
      expect(await store.pendingBatches(A, 10)).toEqual([batchOver(1, 2), batchOver(3, 3)]);
      expect(await store.pendingBatches(B, 10)).toEqual([]);
      await store.countersign(A, 2, SIGNATURE);
      expect(await store.pendingBatches(A, 10)).toEqual([batchOver(3, 3)]);
      expect(await store.batch(A, 2)).toEqual({ ...batchOver(1, 2), workerSignature: SIGNATURE });
      expect(await store.batch(A, 9)).toBeNull();
    });

    test('bytes are let go of when their last holder lets go', async () => {
      const [x, y] = ['4'.repeat(64), '5'.repeat(64)];
      await store.hold('job:1', [x, y]);
      await store.hold('job:2', [x]);
      await store.hold('job:2', [x]);
      expect(await store.letGo('job:1')).toEqual([y]);
      expect(await store.holders()).toEqual(['job:2']);
      expect(await store.heldBlobs()).toEqual(new Set([x]));
      expect(await store.letGo('job:2')).toEqual([x]);
      expect(await store.letGo('job:2')).toEqual([]);
    });

    test('what is over since long is forgotten, and its receipts are not', async () => {
      await accepted('old', A, 50);
      await accepted('new', A, 150);
      await store.addJob(jobOf('open', 1), [shardOf('open.1', 'open', 1)]);
      await store.addJob(jobOf('gone', 1), [shardOf('gone.1', 'gone', 1)]);
      await store.cancelJob('gone', 60);
      expect(await store.jobsOverBefore(100)).toEqual(['gone']);
      await store.forgetBefore(100);
      expect(await store.shard('old')).toBeNull();
      expect(await store.attemptsOf('old')).toEqual([]);
      expect(await store.shard('new')).not.toBeNull();
      expect(await store.job('gone')).toBeNull();
      expect(await store.shardsOf('gone')).toEqual([]);
      expect(await store.shardsOf('open')).toHaveLength(1);
      expect(await store.receiptsAfter(A, 0, 10)).toHaveLength(2);
    });

    test('practice is counted on the day on which it is answered; what is lent out is counted apart', async () => {
      expect([await store.takePracticeNumber(), await store.takePracticeNumber()]).toEqual([0, 1]);
      await accepted('1a', A, 50);
      await accepted('2a', A, 150);
      await lent('3a');
      await store.addJob(jobOf('j', 1), [shardOf('j.1', 'j', 1)]);
      await lend('j.1', 1);
      await store.commit(submissionFor('j.1', 1));
      await accept('j.1', A, 60);
      if (book === undefined) return;
      expect(book.spent(0, 100)).toEqual({ accepted: 1, runMs: 12.5 });
      expect(book.spent(0, 200)).toEqual({ accepted: 2, runMs: 25 });
      expect(book.spent(200, 300)).toEqual({ accepted: 0, runMs: 0 });
      expect(book.outstanding()).toBe(1);
      expect(book.limits('2026-05-05')).toBeUndefined();
      book.setLimits('2026-05-05', { shards: 3, ms: 4 });
      book.setLimits('2026-05-05', { shards: 5, ms: 6 });
      expect(book.limits('2026-05-05')).toEqual({ shards: 5, ms: 6 });
    });
  });
}

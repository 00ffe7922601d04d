import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { EmbeddedCoordinator, ReferenceTask } from '../../core/contract/jobs.ts';
import type { JobStatus, NetworkEvent } from '../../core/contract/network.ts';
import { batchOf, batchSignedBy, hashReceipt } from '../../core/contract/receipt-hash.ts';
import { decodeSafetensors, encodeSafetensors } from '../../core/contract/safetensors.ts';
import type { Lease, Submission } from '../../core/contract/shard.ts';
import type { Tensor } from '../../core/contract/tensor.ts';
import {
  ASK,
  answerOf,
  coordinatorKey,
  countersignature,
  digestOf,
  float32,
  handIn,
  inputsOf,
  int64,
  outputsOf,
  runRequest,
  submissionOf,
  takeLease,
  Workbench,
  workerKey,
} from './workbench.ts';

/** How the coordinator that is put through the suite is started, and how many blobs it keeps. */
interface Candidate {
  open(bench: Workbench, options?: Parameters<Workbench['open']>[0]): Promise<EmbeddedCoordinator>;
  blobs(bench: Workbench): number;
  /** Where what a coordinator writes is not in the bench's folder alone: keeps the one that is open from writing more. */
  kill?(): Promise<void>;
}

/** What every coordinator holds to, whatever it stands on. */
export function describeNetwork(name: string, candidate: Candidate): void {
  describe(name, () => {
    let bench: Workbench;
    let network: EmbeddedCoordinator;
    let events: NetworkEvent[];
    const start = async (options?: Parameters<Workbench['open']>[0]) => {
      network = await candidate.open(bench, options);
      events = [];
      network.subscribe((event) => events.push(event));
    };
    beforeEach(async () => {
      bench = new Workbench();
      await start();
    });
    afterEach(async () => {
      vi.useRealTimers();
      await bench.dispose();
    });
    const restart = async (how: 'close' | 'crash', options?: Parameters<Workbench['open']>[0]) => {
      if (how === 'crash') bench.crash();
      else await network.close();
      await start(options);
    };
    const kill = async () => {
      await candidate.kill?.();
      bench.crash();
      await network.close().catch(() => undefined);
    };
    const expectError = async (call: Promise<unknown>, code: string) => expect(call).rejects.toMatchObject({ code });

    describe('leases', () => {
      test('a lease names model and inputs that can be fetched, and says how long it lasts', async () => {
        const lease = await takeLease(network);
        expect(lease).toMatchObject({ attempt: 1, leaseMs: 60_000, deadline: bench.now + 60_000 });
        expect(lease.shard.origin).toBe('practice');
        expect(digestOf(await inputsOf(network, lease.shard))).toBe(lease.shard.inputs.digest);
        const manifest = await network.fetchBlob(lease.shard.model.digest, 0);
        expect(manifest.type === 'file' && JSON.parse(readFileSync(manifest.path, 'utf8'))).toEqual(bench.model.manifest);
        const graph = await network.fetchBlob(bench.model.manifest.files[0]?.digest ?? '', 0);
        expect(graph.type === 'file' && readFileSync(graph.path, 'utf8')).toBe('the practice model');
        await expectError(network.fetchBlob('0'.repeat(64), 0), 'BLOB_MISSING');
        await expectError(network.fetchBlob('../coordinator.db', 0), 'BLOB_MISSING');
      });

      test('a shard is lent to one worker at a time, and again as the next attempt when it is released', async () => {
        const first = await takeLease(network);
        const second = await takeLease(network);
        expect(second.shard.id).not.toBe(first.shard.id);
        await network.release(first.shard.id, 1, 'paused', null);
        expect(events).toContainEqual({ type: 'work' });
        const again = await takeLease(network);
        expect(again).toMatchObject({ shard: first.shard, attempt: 2 });
        await network.release(first.shard.id, 1, 'paused', null);
        expect(await network.progress(first.shard.id, 2, null)).toBe(true);
      });

      test('a lease that is over is lent again, and the late result is refused the same way each time', async () => {
        const late = await takeLease(network);
        bench.pass(60_000);
        expect(await network.progress(late.shard.id, 1, 0.5)).toBe(false);
        const again = await takeLease(network);
        expect(again).toMatchObject({ shard: late.shard, attempt: 2 });
        expect(await handIn(network, late)).toEqual({ type: 'expired' });
        expect(await handIn(network, again)).toMatchObject({ type: 'accepted' });
        expect(await handIn(network, { ...late, shard: again.shard }).catch((error) => error.code)).toBe('BLOB_MISSING');
      });

      test('a heartbeat starts the countdown of every lease of the worker anew', async () => {
        const first = await takeLease(network);
        const ahead = await takeLease(network);
        for (let beat = 0; beat < 5; beat += 1) {
          bench.pass(40_000);
          expect(await network.progress(first.shard.id, 1, beat / 5)).toBe(true);
        }
        expect(await handIn(network, first)).toMatchObject({ type: 'accepted' });
        expect(await network.progress(ahead.shard.id, 1, null)).toBe(true);
      });

      test('heartbeats do not keep a lease for ever', async () => {
        await restart('close', { leaseMs: 3_600_000 });
        const lease = await takeLease(network);
        const beats: boolean[] = [];
        for (let beat = 0; beat < 26; beat += 1) {
          bench.pass(3_599_000);
          beats.push(await network.progress(lease.shard.id, 1, null));
        }
        expect(beats.indexOf(false)).toBeGreaterThan(23);
      });

      test('a clock that jumps neither ends a lease nor keeps it', async () => {
        const lease = await takeLease(network);
        bench.now += 5 * 86_400_000;
        expect(await network.progress(lease.shard.id, 1, null)).toBe(true);
        bench.now -= 50 * 86_400_000;
        expect(await network.progress(lease.shard.id, 1, null)).toBe(true);
        bench.monotonicMs += 60_000;
        expect(await network.progress(lease.shard.id, 1, null)).toBe(false);
      });

      test('a restart counts down what is left, and never more than a whole lease', async () => {
        const lease = await takeLease(network);
        bench.pass(20_000);
        await restart('crash');
        bench.monotonicMs += 39_000;
        expect(await network.progress(lease.shard.id, 1, null)).toBe(true);
        bench.now -= 365 * 86_400_000;
        await restart('crash');
        bench.monotonicMs += 60_000;
        expect(await network.progress(lease.shard.id, 1, null)).toBe(false);
      });

      test('the end of a lease wakes whoever waits for work', async () => {
        vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
        await takeLease(network);
        const worked = new Promise<void>((resolve) => network.subscribe((event) => event.type === 'work' && resolve()));
        bench.pass(60_000);
        await vi.advanceTimersByTimeAsync(60_000);
        await worked;
      });
    });

    describe('results', () => {
      test('an accepted result has a receipt over what was leased, and the same answer each time, also after a restart', async () => {
        const lease = await takeLease(network);
        const outputs = outputsOf(lease.shard, await inputsOf(network, lease.shard));
        const submission = submissionOf(lease, outputs);
        const [reply, twin] = await Promise.all([network.submit(submission, outputs), network.submit(submission, outputs)]);
        expect(twin).toEqual(reply);
        if (reply.type !== 'accepted') throw new Error(reply.type);
        expect(reply).toMatchObject({ audited: false });
        expect(reply.receipt).toMatchObject({
          network: 'local',
          shardId: lease.shard.id,
          attempt: 1,
          worker: workerKey.address,
          payee: workerKey.address,
          modelHash: lease.shard.model.digest,
          inputHash: lease.shard.inputs.digest,
          outputCommitment: submission.commitment,
          units: 3,
          amount: '3',
          asset: 'hearth:local/credit:practice',
          sequence: 1,
          time: Math.floor(bench.now / 1000),
        });
        expect(await network.submit(submission, outputs)).toEqual(reply);
        await restart('crash');
        expect(await network.submit(submission, outputs)).toEqual(reply);
        expect(await network.receiptsSince(0)).toEqual([reply.receipt]);
        await expectError(network.submit({ ...submission, commitment: digestOf(new Uint8Array(1)) }, new Uint8Array(1)), 'RESULT_CONFLICT');
        await expectError(network.submit({ ...submission, attempt: 2 }, outputs), 'LEASE_UNKNOWN');
        await expectError(network.submit({ ...submission, shardId: 'nobody' }, outputs), 'LEASE_UNKNOWN');
        await expectError(network.submit({ ...submission, units: -1 }, outputs), 'RESULT_MALFORMED');
      });

      test('two results for one attempt at the same moment: the first one binds', async () => {
        const lease = await takeLease(network);
        const outputs = outputsOf(lease.shard, await inputsOf(network, lease.shard));
        const other = encodeSafetensors(new Map([['tokens', int64([9, 0])]]));
        const first = network.submit(submissionOf(lease, outputs), outputs);
        await expectError(network.submit(submissionOf(lease, other), other), 'RESULT_CONFLICT');
        expect(await first).toMatchObject({ type: 'accepted' });
      });

      test('another worker can neither hand in nor renew nor release what was lent to this one', async () => {
        const lease = await takeLease(network);
        const outputs = outputsOf(lease.shard, await inputsOf(network, lease.shard));
        await network.connect({ address: coordinatorKey.address, payee: coordinatorKey.address });
        await expectError(network.submit(submissionOf(lease, outputs), outputs), 'LEASE_UNKNOWN');
        expect(await network.progress(lease.shard.id, 1, null)).toBe(false);
        await network.release(lease.shard.id, 1, 'stopped', null);
        await network.connect({ address: workerKey.address, payee: workerKey.address });
        expect(await network.submit(submissionOf(lease, outputs), outputs)).toMatchObject({ type: 'accepted' });
      });

      test('a worker that starts gets nothing back but what it has on record: the rest is lent again at once', async () => {
        const kept = await takeLease(network);
        const lost = await takeLease(network);
        const known = { shardId: kept.shard.id, attempt: kept.attempt };
        await network.connect({ address: workerKey.address, payee: workerKey.address, holds: [known] });
        expect(await takeLease(network)).toMatchObject({ shard: lost.shard, attempt: 2 });
        const outputs = outputsOf(kept.shard, await inputsOf(network, kept.shard));
        expect(await network.submit(submissionOf(kept, outputs), outputs)).toMatchObject({ type: 'accepted' });
      });

      test('a malformed result is refused with its code, lent again, and given up after three', async () => {
        let lease = await takeLease(network);
        const { shard } = lease;
        const outputs = outputsOf(shard, await inputsOf(network, shard));
        const wrong = submissionOf(lease, outputs, { commitment: 'f'.repeat(64) });
        expect(await network.submit(wrong, outputs)).toMatchObject({ type: 'rejected', code: 'DIGEST_MISMATCH' });
        expect(await network.submit(wrong, outputs)).toMatchObject({ type: 'rejected', code: 'DIGEST_MISMATCH' });
        lease = await takeLease(network);
        expect(lease).toMatchObject({ shard, attempt: 2 });
        const rubbish = new Uint8Array(20).fill(7);
        const facts = { commitment: digestOf(rubbish), outputBytes: 20 };
        expect(await network.submit({ ...wrong, ...facts, attempt: 2 }, rubbish)).toMatchObject({
          type: 'rejected',
          code: 'RESULT_MALFORMED',
        });
        await restart('close');
        expect(await network.submit({ ...wrong, ...facts, attempt: 2 }, rubbish)).toMatchObject({
          type: 'rejected',
          code: 'RESULT_MALFORMED',
        });
        await takeLease(network);
        expect(await network.submit({ ...wrong, ...facts, attempt: 3 }, rubbish)).toMatchObject({ type: 'rejected' });
        bench.pass(60_000);
        expect((await takeLease(network)).shard.id).not.toBe(shard.id);
        expect(await network.receiptsSince(0)).toEqual([]);
      });

      test('a result that was committed to when the power failed is answered when it is sent again', async () => {
        const lease = await takeLease(network);
        const outputs = outputsOf(lease.shard, await inputsOf(network, lease.shard));
        bench.draw = 0;
        let reached: () => void = () => undefined;
        const computing = new Promise<void>((resolve) => {
          reached = resolve;
        });
        bench.reference = () => {
          reached();
          return new Promise(() => undefined);
        };
        const abandoned = network.submit(submissionOf(lease, outputs), outputs);
        await computing;
        if (candidate.kill === undefined) {
          bench.crash();
          await network.close();
          expect(await abandoned).toMatchObject({ type: 'accepted', audited: false });
        } else {
          await kill();
          await expect(abandoned).rejects.toThrow();
        }
        // The draw was recorded with the commitment: sending it again does not draw again.
        bench.draw = 0.99;
        bench.reference = async (task) => answerOf(task);
        await start();
        bench.referenceTasks.length = 0;
        expect(await network.submit(submissionOf(lease, outputs), outputs)).toMatchObject({ type: 'accepted', audited: true });
        expect(bench.referenceTasks).toHaveLength(1);
      });

      test('a result that was committed to and is never sent again does not hold its shard for ever', async () => {
        const lease = await takeLease(network);
        const outputs = outputsOf(lease.shard, await inputsOf(network, lease.shard));
        bench.draw = 0;
        let reached: () => void = () => undefined;
        const computing = new Promise<void>((resolve) => {
          reached = resolve;
        });
        bench.reference = () => {
          reached();
          return new Promise(() => undefined);
        };
        const abandoned = network.submit(submissionOf(lease, outputs), outputs);
        abandoned.catch(() => undefined);
        await computing;
        await kill();
        await abandoned.catch(() => undefined);
        await start();
        bench.pass(60_000);
        expect(await takeLease(network)).toMatchObject({ shard: lease.shard, attempt: 2 });
        expect(await network.submit(submissionOf(lease, outputs), outputs)).toEqual({ type: 'expired' });
      });
    });

    describe('audits', () => {
      test('an audited result that the reference agrees with is marked so', async () => {
        bench.draw = 0.049;
        expect(await handIn(network, await takeLease(network))).toMatchObject({ type: 'accepted', audited: true });
        bench.draw = 0.05;
        expect(await handIn(network, await takeLease(network))).toMatchObject({ type: 'accepted', audited: false });
        expect(bench.referenceTasks).toHaveLength(1);
        expect(readFileSync([...(bench.referenceTasks[0]?.model.local.files.values() ?? [])][0] ?? '', 'utf8')).toBe('the practice model');
      });

      test("the owner's own jobs are never audited", async () => {
        bench.draw = 0;
        await network.submitJob(runRequest(bench.writeModel('own.onnx', 'own')));
        expect(await handIn(network, await takeLease(network))).toMatchObject({ type: 'accepted', audited: false });
        expect(bench.referenceTasks).toEqual([]);
      });

      test('a reference that fails or hangs lets the result pass unaudited, and is noted', async () => {
        await restart('close', { auditMs: 20 });
        bench.draw = 0;
        bench.reference = () => Promise.reject(new Error('no memory'));
        expect(await handIn(network, await takeLease(network))).toMatchObject({ type: 'accepted', audited: false });
        bench.reference = () => new Promise(() => undefined);
        expect(await handIn(network, await takeLease(network))).toMatchObject({ type: 'accepted', audited: false });
        bench.reference = async () => new Uint8Array(3);
        expect(await handIn(network, await takeLease(network))).toMatchObject({ type: 'accepted', audited: false });
        expect(bench.logged.filter((event) => event !== 'audited')).toEqual(['reference-failed', 'reference-late', 'reference-failed']);
      });

      /** A reference that draws these tokens, where the claim differs this far off. */
      const drawing = (tokens: number[], off?: number) => async (task: ReferenceTask) =>
        answerOf(task, encodeSafetensors(new Map([['tokens', int64(tokens)]])), off);

      test('a result that two references contradict is refused', async () => {
        bench.draw = 0;
        bench.reference = drawing([5, 0]);
        const lease = await takeLease(network);
        expect(await handIn(network, lease)).toMatchObject({ type: 'rejected', code: 'AUDIT_FAILED' });
        const threads = bench.referenceTasks.map((task) => task.shard.session.intraOpThreads);
        expect(new Set(threads).size).toBe(2);
        expect(await network.receiptsSince(0)).toEqual([]);
      });

      test('a generation is checked along its own tokens: near-ties are right, further off on another backend, and others are not', async () => {
        bench.draw = 0;
        const judged = async (off: number, backend?: 'cpu' | 'webgpu') => {
          const lease = await takeLease(network);
          const right = outputsOf(lease.shard, await inputsOf(network, lease.shard));
          const { data } = decodeSafetensors(right).get('tokens') as Tensor;
          const tokens = Array.from(new BigInt64Array(new Uint8Array(data).buffer), Number);
          bench.reference = drawing([(tokens[0] as number) + 1, ...tokens.slice(1)], off);
          const changes = { backend } as Partial<Submission>;
          return network.submit(submissionOf(lease, right, changes), right);
        };
        expect(await judged(5e-4, 'cpu')).toMatchObject({ type: 'accepted', audited: true });
        expect(await judged(5e-3, 'cpu')).toMatchObject({ type: 'rejected', code: 'AUDIT_FAILED' });
        expect(await judged(5e-3, 'webgpu')).toMatchObject({ type: 'accepted', audited: true });
        // What computed it isn't known any more after a restart.
        expect((await judged(5e-2, undefined)).type).toBe('rejected');
      });

      test('a disagreement that another number of threads settles is a near-tie, and one that nothing settles blames nobody', async () => {
        bench.draw = 0;
        bench.reference = (task) => (task.shard.session.intraOpThreads === 1 ? Promise.resolve(answerOf(task)) : drawing([5, 0])(task));
        expect(await handIn(network, await takeLease(network))).toMatchObject({ type: 'accepted', audited: true });
        bench.reference = async (task) => answerOf(task);
        let lease = await takeLease(network);
        for (; lease.shard.kind !== 'onnx.run'; lease = await takeLease(network)) await handIn(network, lease);
        bench.reference = async (task) =>
          encodeSafetensors(new Map([['y', float32([task.shard.session.intraOpThreads, 9, 9, 9], [2, 2])]]));
        expect(await handIn(network, lease)).toMatchObject({ type: 'accepted', audited: false });
        expect(bench.logged).toContain('audit-undecided');
      });
    });

    describe('receipts', () => {
      const work = async (count: number) => {
        for (let done = 0; done < count; done += 1)
          expect(await handIn(network, await takeLease(network))).toMatchObject({ type: 'accepted' });
      };

      test('receipts are a chain without gaps, and come in batches that the coordinator signed', async () => {
        vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
        await work(3);
        const receipts = await network.receiptsSince(0);
        expect(receipts.map((receipt) => receipt.sequence)).toEqual([1, 2, 3]);
        expect(receipts[2]?.previousHash).toBe(receipts[1] && hashReceipt(receipts[1]));
        expect(await network.receiptsSince(2)).toEqual(receipts.slice(2));
        expect(await network.pendingBatches()).toEqual([]);
        const proposed = new Promise<void>((resolve) => network.subscribe((event) => event.type === 'batch' && resolve()));
        await vi.advanceTimersByTimeAsync(1000);
        await proposed;
        const [batch] = await network.pendingBatches();
        expect(batch?.batch).toEqual(batchOf(receipts));
        expect(batchSignedBy(batchOf(receipts), batch?.coordinatorSignature ?? '', coordinatorKey.address)).toBe(true);
      });

      test('a batch is full at 64 receipts', async () => {
        vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
        await work(65);
        expect((await network.pendingBatches()).map(({ batch }) => [batch.first, batch.last])).toEqual([[1, 64]]);
      });

      test('no receipt stays unsigned over an end or a crash', async () => {
        await work(1);
        await restart('close');
        await work(1);
        await restart('crash');
        expect((await network.pendingBatches()).map(({ batch }) => [batch.first, batch.last])).toEqual([
          [1, 1],
          [2, 2],
        ]);
      });

      test("a batch is done with the worker's signature and nobody else's", async () => {
        await work(1);
        await restart('close');
        const [batch] = await network.pendingBatches();
        if (batch === undefined) throw new Error('no batch');
        const key = { network: 'local', last: 1 };
        await expectError(network.countersign(key, batch.coordinatorSignature), 'BATCH_INVALID');
        await expectError(network.countersign({ network: 'local', last: 9 }, countersignature(batch)), 'BATCH_INVALID');
        await network.countersign(key, countersignature(batch));
        await network.countersign(key, countersignature(batch));
        expect(await network.pendingBatches()).toEqual([]);
        await restart('crash');
        expect(await network.pendingBatches()).toEqual([]);
      });
    });

    describe('practice', () => {
      test('practice ends after its shards of a day, over restarts, and begins again the next day', async () => {
        await restart('close', { quota: { shardsPerDay: 2, minutesPerDay: 10 } });
        const first = await takeLease(network);
        const second = await takeLease(network);
        expect(await network.lease(ASK)).toMatchObject({ type: 'no-work', reason: { key: 'no-work.lease-held' }, retryMs: null });
        await handIn(network, first);
        expect(network.practice()).toEqual({ acceptedToday: 1, shardsLeft: 1, msLeft: 599_995 });
        await restart('crash', { quota: { shardsPerDay: 2, minutesPerDay: 10 } });
        await handIn(network, second);
        const over = await network.lease(ASK);
        expect(over).toMatchObject({ type: 'no-work', reason: { key: 'no-work.practice-over' }, retryMs: 3_600_000 });
        expect(network.practice()).toEqual({ acceptedToday: 2, shardsLeft: 0, msLeft: 0 });
        bench.pass(13 * 3_600_000);
        expect(network.practice()).toEqual({ acceptedToday: 0, shardsLeft: 2, msLeft: 600_000 });
        await takeLease(network);
      });

      test('practice ends after its minutes of run time, and an extension brings exactly as many shards', async () => {
        await restart('close', { quota: { shardsPerDay: 200, minutesPerDay: 1 } });
        for (const runMs of [40_000, 9e9]) await handIn(network, await takeLease(network), { runMs });
        expect(network.practice()).toEqual({ acceptedToday: 2, shardsLeft: 0, msLeft: 0 });
        network.extendPractice(2);
        expect(events).toContainEqual({ type: 'work' });
        expect(network.practice()).toMatchObject({ acceptedToday: 2, shardsLeft: 2 });
        await restart('crash', { quota: { shardsPerDay: 200, minutesPerDay: 1 } });
        for (let done = 0; done < 2; done += 1) await handIn(network, await takeLease(network), { runMs: 59_000 });
        expect(await network.lease(ASK)).toMatchObject({ reason: { key: 'no-work.practice-over' } });
      });

      test('own jobs never count as practice, and there is none where it is not wanted', async () => {
        await restart('close', { quota: { shardsPerDay: 0, minutesPerDay: 10 } });
        await network.submitJob(runRequest(bench.writeModel('own.onnx', 'own')));
        expect(await handIn(network, await takeLease(network))).toMatchObject({ type: 'accepted', receipt: { amount: '0' } });
        expect(network.practice().acceptedToday).toBe(0);
        expect(await network.lease({ ...ASK, practice: false })).toMatchObject({ reason: { key: 'no-work.queue-empty' }, retryMs: null });
      });

      test('practice that keeps failing waits longer each time', async () => {
        const waits: Array<number | null> = [];
        for (let failures = 0; failures < 8; ) {
          const reply = await network.lease(ASK);
          if (reply.type === 'lease') {
            await network.release(reply.lease.shard.id, reply.lease.attempt, 'failed', 'RUN_FAILED', { detail: 'x' });
            failures += 1;
          } else {
            expect(reply.reason.key).toBe('no-work.practice-failing');
            waits.push(reply.retryMs);
            bench.pass(reply.retryMs ?? 0);
          }
        }
        expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000]);
      });

      test('practice leaves no bytes behind but its model', async () => {
        for (let done = 0; done < 4; done += 1) await handIn(network, await takeLease(network));
        expect(candidate.blobs(bench)).toBe(2);
      });
    });

    describe('jobs', () => {
      const seen: JobStatus[] = [];
      beforeEach(() => {
        seen.length = 0;
        network.onJob((job) => seen.push(job));
      });

      test('an own job goes ahead of practice, and its outputs are kept', async () => {
        const prepared = await takeLease(network);
        await network.release(prepared.shard.id, 1, 'paused', null);
        const job = await network.submitJob(runRequest(bench.writeModel('own.onnx', 'own')));
        expect(job).toMatchObject({ state: 'queued', shards: 1, accepted: 0, error: null, finishedAt: null });
        await expectError(network.outputs(job.id), 'JOB_UNFINISHED');
        const lease = await takeLease(network);
        expect(lease.shard).toMatchObject({ jobId: job.id, origin: 'own', price: { perUnit: '0' } });
        const outputs = outputsOf(lease.shard, await inputsOf(network, lease.shard));
        await network.submit(submissionOf(lease, outputs), outputs);
        expect(seen.map((each) => each.state)).toEqual(['queued', 'running', 'done']);
        await restart('crash');
        expect(await network.job(job.id)).toMatchObject({ state: 'done', accepted: 1, finishedAt: bench.now });
        expect(Buffer.from(await network.outputs(job.id))).toEqual(Buffer.from(outputs));
        expect((await network.jobs()).map((each) => each.id)).toEqual([job.id]);
        // Only the outputs, and the practice model with one shard's inputs, are left.
        await expectError(network.fetchBlob(lease.shard.inputs.digest, 0), 'BLOB_MISSING');
        bench.pass(8 * 86_400_000);
        await restart('close');
        await expectError(network.outputs(job.id), 'BLOB_MISSING');
      });

      test('own jobs are lent in the order in which they came, but for one whose model is loaded', async () => {
        const models = ['a', 'b', 'c'].map((text) => bench.writeModel(`${text}.onnx`, text));
        const ids: string[] = [];
        for (const model of models) {
          ids.push((await network.submitJob(runRequest(model))).id);
          bench.pass(1000);
        }
        const warm = (await takeLease(network, { practice: false })).shard;
        expect(warm.jobId).toBe(ids[0]);
        await network.release(warm.id, 1, 'paused', null);
        const third = await takeLease(network, { warmModels: [] });
        expect(third.shard.jobId).toBe(ids[0]);
        const digest = digestOf(new TextEncoder().encode(canonicalManifest(models[2])));
        expect((await takeLease(network, { warmModels: [digest] })).shard.jobId).toBe(ids[2]);
      });

      test('a job that fails three times with the same code fails with it; being paused, stopped or crashed once is no failure', async () => {
        const job = await network.submitJob(runRequest(bench.writeModel('own.onnx', 'own')));
        const give = async (...end: ['paused' | 'stopped' | 'crashed' | 'failed', string | null]) => {
          const lease = await takeLease(network);
          expect(lease.shard.jobId).toBe(job.id);
          await network.release(lease.shard.id, lease.attempt, ...end, { detail: 'a shape' });
        };
        for (const reason of ['paused', 'stopped', 'crashed', 'paused', 'stopped'] as const) await give(reason, null);
        await give('failed', 'RUN_FAILED');
        await give('failed', 'WORKER_TIMEOUT');
        await give('failed', 'RUN_FAILED');
        expect(await network.job(job.id)).toMatchObject({ state: 'queued' });
        await give('failed', 'RUN_FAILED');
        expect(await network.job(job.id)).toMatchObject({ state: 'failed', error: { code: 'RUN_FAILED', params: { detail: 'a shape' } } });
        await expectError(network.outputs(job.id), 'JOB_FAILED');
        expect((await takeLease(network)).shard.origin).toBe('practice');
      });

      test('a job whose worker crashes every time fails', async () => {
        const job = await network.submitJob(runRequest(bench.writeModel('own.onnx', 'own')));
        for (let crash = 0; crash < 5; crash += 1) {
          const lease = await takeLease(network);
          await network.release(lease.shard.id, lease.attempt, 'crashed', null);
        }
        expect(await network.job(job.id)).toMatchObject({ state: 'failed', error: { code: 'WORKER_CRASHED' } });
      });

      test('cancelling takes a lease back, wipes the bytes and refuses the result', async () => {
        const job = await network.submitJob(runRequest(bench.writeModel('own.onnx', 'own')));
        const lease = await takeLease(network);
        const outputs = outputsOf(lease.shard, await inputsOf(network, lease.shard));
        expect(await network.cancelJob(job.id)).toMatchObject({ state: 'cancelled', finishedAt: bench.now });
        expect(events).toContainEqual({ type: 'revoked', shardId: lease.shard.id, attempt: 1 });
        expect(await network.progress(lease.shard.id, 1, null)).toBe(false);
        expect(await network.submit(submissionOf(lease, outputs), outputs)).toEqual({ type: 'expired' });
        await expectError(network.outputs(job.id), 'JOB_CANCELLED');
        expect(candidate.blobs(bench)).toBe(0);
        expect(await network.cancelJob(job.id)).toMatchObject({ state: 'cancelled' });
        await expectError(network.cancelJob('job-none'), 'JOB_UNKNOWN');
        expect(await network.job('job-none')).toBeNull();
      });

      test('a job that is done stays done when it is cancelled', async () => {
        const job = await network.submitJob(runRequest(bench.writeModel('own.onnx', 'own')));
        await handIn(network, await takeLease(network));
        expect(await network.cancelJob(job.id)).toMatchObject({ state: 'done' });
        expect((await network.outputs(job.id)).byteLength).toBeGreaterThan(0);
      });

      test('what can not be a job is refused at once, and leaves nothing', async () => {
        const model = bench.writeModel('own.onnx', 'own');
        await expectError(network.submitJob(runRequest(model, { inputs: new Uint8Array(4) })), 'TENSOR_INVALID');
        await expectError(network.submitJob(runRequest({ ...model, files: new Map() })), 'MODEL_NOT_FOUND');
        await expectError(network.submitJob(runRequest(model, { outputs: [''] })), 'USAGE');
        writeFileSync(join(bench.root, 'own.onnx'), 'something else');
        await expectError(network.submitJob(runRequest(model)), 'DIGEST_MISMATCH');
        const generate = {
          ...runRequest(bench.writeModel('decoder.onnx', 'decoder')),
          kind: 'onnx.generate' as const,
          decoder: { layers: 1, keyValueHeads: 1, headSize: 1, maxPositions: 4 },
          maxNewTokens: 3,
          stopTokens: [],
          sampling: { method: 'greedy' as const },
        };
        await expectError(network.submitJob(generate), 'INPUT_MISSING');
        for (const ids of [int64([], [1, 0]), int64([1, 2, 3, 4], [1, 4]), int64([1, 2], [2, 1]), float32([1], [1, 1])]) {
          const inputs = encodeSafetensors(new Map([['input_ids', ids]]));
          await expectError(network.submitJob({ ...generate, inputs }), 'INPUT_MISMATCH');
        }
        expect(await network.jobs()).toEqual([]);
        expect(candidate.blobs(bench)).toBe(0);
      });
    });

    test('a listener that throws does not keep others from hearing', async () => {
      network.subscribe(() => {
        throw new Error('mine');
      });
      const heard: string[] = [];
      const stop = network.subscribe((event) => heard.push(event.type));
      network.extendPractice(1);
      stop();
      network.extendPractice(1);
      expect(heard).toEqual(['work']);
      expect(bench.logged).toContain('listener-failed');
    });

    test('after the end every call is refused, and closing twice is fine', async () => {
      const lease: Lease = await takeLease(network);
      await network.close();
      await network.close();
      await expectError(network.lease(ASK), 'CANCELLED');
      await expectError(network.progress(lease.shard.id, 1, null), 'CANCELLED');
    });
  });
}

function canonicalManifest(model: { manifest: { files: Array<{ path: string; bytes: number; digest: string }> } } | undefined): string {
  const [file] = model?.manifest.files ?? [];
  return `{"entry":"model.onnx","files":[{"bytes":${file?.bytes},"digest":"${file?.digest}","path":"model.onnx"}],"format":"onnx"}`;
}

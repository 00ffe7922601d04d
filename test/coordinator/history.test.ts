import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { EmbeddedCoordinator } from '../../core/contract/jobs.ts';
import type { SubmitReply } from '../../core/contract/network.ts';
import { batchOf, batchSignedBy, hashReceipt } from '../../core/contract/receipt-hash.ts';
import type { Lease } from '../../core/contract/shard.ts';
import { ASK, coordinatorKey, countersignature, outputsOf, runRequest, submissionOf, Workbench } from './workbench.ts';

const QUOTA = { shardsPerDay: 3, minutesPerDay: 10 };
const LEASE_MS = 60_000;

/** What is known from outside: enough to say what must never happen. */
interface Model {
  leases: Array<{ lease: Lease; inputs: Uint8Array; endsAt: number; over: boolean; answered: SubmitReply | null }>;
  openJobs: Set<string>;
  cancelledJobs: Set<string>;
  accepted: Map<string, number>;
  practiceAccepted: number;
  extended: number;
}

class World {
  readonly bench = new Workbench();
  readonly own = this.bench.writeModel('own.onnx', 'own');
  network!: EmbeddedCoordinator;

  async open(): Promise<void> {
    this.network = await this.bench.open({ quota: QUOTA, leaseMs: LEASE_MS });
  }
}

class Act implements fc.AsyncCommand<Model, World> {
  readonly #name: string;
  readonly #run: (model: Model, world: World) => Promise<void>;

  constructor(name: string, run: (model: Model, world: World) => Promise<void>) {
    this.#name = name;
    this.#run = run;
  }
  check = () => true;
  run = (model: Model, world: World) => this.#run(model, world);
  toString = () => this.#name;
}

const pick = <T>(from: readonly T[], seed: number): T | undefined => (from.length === 0 ? undefined : from[seed % from.length]);

const lease = new Act('lease', async (model, { network, bench }) => {
  const reply = await network.lease(ASK);
  const waiting = [...model.openJobs].filter(
    (id) => !model.leases.some((each) => each.lease.shard.jobId === id && !each.over && each.endsAt > bench.monotonicMs),
  );
  if (reply.type === 'no-work') {
    expect(waiting).toEqual([]);
    return;
  }
  const { shard } = reply.lease;
  if (waiting.length > 0) expect(waiting).toContain(shard.jobId);
  else expect(shard.origin).toBe('practice');
  // Lent to one at a time, and never again once it is accepted or cancelled.
  expect(model.accepted.has(shard.id)).toBe(false);
  expect(model.cancelledJobs.has(shard.jobId)).toBe(false);
  for (const each of model.leases.filter((other) => other.lease.shard.id === shard.id)) {
    expect(each.over || each.endsAt <= bench.monotonicMs).toBe(true);
    expect(each.lease.attempt).toBeLessThan(reply.lease.attempt);
    each.over = true;
  }
  const source = await network.fetchBlob(shard.inputs.digest, 0);
  const inputs = source.type === 'file' ? readFileSync(source.path) : new Uint8Array(0);
  model.leases.push({ lease: reply.lease, inputs, endsAt: bench.monotonicMs + LEASE_MS, over: false, answered: null });
  const lent = model.leases.filter((each) => each.lease.shard.origin === 'practice' && !each.over && each.endsAt > bench.monotonicMs);
  expect(model.practiceAccepted + lent.length).toBeLessThanOrEqual(QUOTA.shardsPerDay + model.extended);
});

const submit = (seed: number, bad: boolean, twice: boolean) =>
  new Act(`submit(${seed}${bad ? ', bad' : ''}${twice ? ', twice' : ''})`, async (model, { network, bench }) => {
    const held = pick(model.leases, seed);
    if (held === undefined) return;
    const outputs = outputsOf(held.lease.shard, held.inputs);
    const submission = submissionOf(held.lease, outputs, bad ? { units: 99 } : {});
    const replies = await Promise.all(Array.from({ length: twice ? 2 : 1 }, () => network.submit(submission, outputs)));
    const [reply] = replies as [SubmitReply];
    for (const each of replies) expect(each).toEqual(reply);
    if (held.answered !== null) {
      expect(reply).toEqual(held.answered);
      return;
    }
    const late = held.over || held.endsAt <= bench.monotonicMs;
    expect(reply.type).toBe(late ? 'expired' : bad ? 'rejected' : 'accepted');
    if (!late) held.answered = reply;
    held.over = true;
    if (reply.type !== 'accepted') return;
    expect(model.accepted.has(held.lease.shard.id)).toBe(false);
    model.accepted.set(held.lease.shard.id, reply.receipt.sequence);
    model.openJobs.delete(held.lease.shard.jobId);
    if (held.lease.shard.origin === 'practice') model.practiceAccepted += 1;
  });

const release = (seed: number, failed: boolean) =>
  new Act(`release(${seed}${failed ? ', failed' : ''})`, async (model, { network }) => {
    const held = pick(model.leases, seed);
    if (held === undefined) return;
    const { shard, attempt } = held.lease;
    await network.release(shard.id, attempt, failed ? 'failed' : 'paused', failed ? 'RUN_FAILED' : null);
    held.over = true;
    const job = await network.job(shard.jobId);
    if (job?.state === 'failed') model.openJobs.delete(shard.jobId);
  });

const progress = (seed: number) =>
  new Act(`progress(${seed})`, async (model, { network, bench }) => {
    const held = pick(model.leases, seed);
    if (held === undefined) return;
    const alive = await network.progress(held.lease.shard.id, held.lease.attempt, null);
    for (const each of model.leases) {
      if (each.endsAt <= bench.monotonicMs) each.over = true;
      else if (!each.over) each.endsAt = bench.monotonicMs + LEASE_MS;
    }
    expect(alive).toBe(!held.over);
  });

const pass = (ms: number) =>
  new Act(`pass(${ms})`, async (_model, { bench }) => {
    bench.pass(ms);
  });

const submitJob = new Act('submitJob', async (model, { network, own }) => {
  model.openJobs.add((await network.submitJob(runRequest(own))).id);
});

const cancelJob = (seed: number) =>
  new Act(`cancelJob(${seed})`, async (model, { network }) => {
    const id = pick([...model.openJobs], seed);
    if (id === undefined) return;
    expect(await network.cancelJob(id)).toMatchObject({ state: 'cancelled' });
    model.openJobs.delete(id);
    model.cancelledJobs.add(id);
    for (const each of model.leases) {
      if (each.lease.shard.jobId !== id) continue;
      each.over = true;
      each.answered ??= null;
    }
  });

const extend = (shards: number) =>
  new Act(`extend(${shards})`, async (model, { network }) => {
    network.extendPractice(shards);
    model.extended += shards;
  });

const restart = (crash: boolean) =>
  new Act(crash ? 'crash' : 'restart', async (_model, world) => {
    if (crash) world.bench.crash();
    else await world.network.close();
    await world.open();
  });

const countersign = new Act('countersign', async (_model, { network }) => {
  for (const batch of await network.pendingBatches()) {
    await network.countersign({ network: 'local', last: batch.batch.last }, countersignature(batch));
  }
});

const seeds = fc.nat({ max: 99 });
const commands = fc.commands(
  [
    fc.constant(lease),
    fc.constant(lease),
    fc.tuple(seeds, fc.boolean(), fc.boolean()).map(([seed, bad, twice]) => submit(seed, bad && seed % 3 === 0, twice)),
    fc.tuple(seeds, fc.boolean()).map(([seed, twice]) => submit(seed, false, twice)),
    fc.tuple(seeds, fc.boolean()).map(([seed, failed]) => release(seed, failed)),
    seeds.map(progress),
    fc.constantFrom(1000, 30_000, 61_000).map(pass),
    fc.constant(submitJob),
    seeds.map(cancelJob),
    fc.constantFrom(1, 2).map(extend),
    fc.boolean().map(restart),
    fc.constant(countersign),
  ],
  { maxCommands: 60, size: 'max' },
);

test('in every history nothing is accepted twice, receipts have no gap, own jobs go first, and practice keeps to its quota', async () => {
  await fc.assert(
    fc.asyncProperty(commands, async (history) => {
      const world = new World();
      try {
        await world.open();
        const model: Model = {
          leases: [],
          openJobs: new Set(),
          cancelledJobs: new Set(),
          accepted: new Map(),
          practiceAccepted: 0,
          extended: 0,
        };
        await fc.asyncModelRun(() => ({ model, real: world }), history);
        expect(model.practiceAccepted).toBeLessThanOrEqual(QUOTA.shardsPerDay + model.extended);
        expect(world.network.practice().acceptedToday).toBe(model.practiceAccepted);
        const receipts = await world.network.receiptsSince(0);
        expect(receipts.map((receipt) => receipt.shardId)).toEqual([...model.accepted.keys()]);
        receipts.forEach((receipt, index) => {
          expect(receipt.sequence).toBe(index + 1);
          const before = receipts[index - 1];
          if (before !== undefined) expect(receipt.previousHash).toBe(hashReceipt(before));
        });
        // At the end everything is in a batch that the coordinator signed, and the batches cover the chain.
        await world.network.close();
        await world.open();
        for (const { batch, coordinatorSignature } of await world.network.pendingBatches()) {
          expect(batch).toEqual(batchOf(receipts.slice(batch.first - 1, batch.last)));
          expect(batchSignedBy(batch, coordinatorSignature, coordinatorKey.address)).toBe(true);
        }
      } finally {
        await world.bench.dispose();
      }
    }),
    { numRuns: 15 },
  );
});

import { afterEach, beforeEach, expect, test } from 'vitest';
import { holderOf } from '../../../coordinator/holding.ts';
import { trustHandlers } from '../../../coordinator/operating/trusting.ts';
import { auditProbability } from '../../../coordinator/trust/reputation.ts';
import type { SubmitReply } from '../../../core/contract/network.ts';
import { encodeSafetensors } from '../../../core/contract/safetensors.ts';
import type { Lease } from '../../../core/contract/shard.ts';
import { REQUEST, SimulatedNetwork, workerOf } from '../leasing/simulated.ts';
import { digestOf, float32, submissionOf } from '../workbench.ts';

/** What the simulated network's reference computes, and something else. */
const RIGHT = encodeSafetensors(new Map([['y', float32([2])]]));
const WRONG = encodeSafetensors(new Map([['y', float32([3])]]));
const [LIAR, HONEST, OTHER] = [workerOf(1), workerOf(2), workerOf(3)];
const DAY = 86_400_000;
const DIGEST = '0'.repeat(64);

let network: SimulatedNetwork;
beforeEach(() => {
  network = new SimulatedNetwork();
});
afterEach(() => network.dispose());

async function lease(worker: typeof LIAR): Promise<Lease> {
  const reply = await network.coordinator.service.lease(worker, REQUEST);
  if (reply.type !== 'lease') throw new Error(`no lease: ${reply.reason.key}`);
  return reply.lease;
}

function handIn(worker: typeof LIAR, taken: Lease, outputs: Uint8Array, commitment = digestOf(outputs)): Promise<SubmitReply> {
  return network.coordinator.service.submit(worker, submissionOf(taken, outputs, { commitment }), outputs);
}

test('a wrong result is refused and kept for an appeal with its bytes, and its shard goes to somebody else', async () => {
  const { service } = network.coordinator;
  const job = await network.submit(await network.model(), 1);
  const taken = await lease(LIAR);
  const reply = await handIn(LIAR, taken, WRONG);
  expect(reply).toMatchObject({ type: 'rejected', code: 'AUDIT_FAILED', detail: expect.stringContaining('y differs by') });
  // Sent again it is answered again, and blamed once.
  expect(await handIn(LIAR, taken, WRONG)).toEqual(reply);
  expect(await service.audits(LIAR)).toMatchObject({ validInARow: 0, bad: 1, probability: 1, suspendedUntil: null });

  const [appeal] = await network.store.appeals(10);
  expect(appeal).toMatchObject({
    worker: LIAR.address,
    shardId: taken.shard.id,
    attempt: 1,
    bytesKept: true,
    tolerated: { distance: 1e-4 },
  });
  expect(await network.blobs.read(appeal?.claimed.outputs ?? '')).toEqual(Buffer.from(WRONG));
  expect(await network.blobs.read(appeal?.computed[0] ?? '')).toEqual(Buffer.from(RIGHT));
  expect(await network.store.holders()).toContain(holderOf.appeal({ shardId: taken.shard.id, attempt: 1 }));

  const again = await lease(HONEST);
  expect(again).toMatchObject({ shard: { id: taken.shard.id }, attempt: 2 });
  expect(await handIn(HONEST, again, RIGHT)).toMatchObject({ type: 'accepted', audited: true });
  expect(await network.store.job(job)).toMatchObject({ state: 'done', accepted: 1 });
  expect(await service.receiptsSince(LIAR, 0, 10)).toEqual([]);
});

test('a second wrong result suspends for a day: no work, and why; after it everything is audited', async () => {
  const { service } = network.coordinator;
  await network.submit(await network.model(), 4);
  await handIn(LIAR, await lease(LIAR), WRONG);
  // Somebody else's commitment over other bytes is no better.
  expect(await handIn(LIAR, await lease(LIAR), WRONG, digestOf(RIGHT))).toMatchObject({ type: 'rejected', code: 'DIGEST_MISMATCH' });
  expect(await service.audits(LIAR)).toMatchObject({ bad: 2, suspendedUntil: network.now + DAY });
  network.pass(60_000);
  expect(await service.lease(LIAR, REQUEST)).toMatchObject({
    type: 'no-work',
    reason: { key: 'no-work.suspended', params: { bad: 2, hours: 24 } },
    retryMs: 3_600_000,
  });
  expect(await lease(HONEST)).toMatchObject({ attempt: 2 });
  network.pass(DAY);
  expect(await handIn(LIAR, await lease(LIAR), RIGHT)).toMatchObject({ type: 'accepted', audited: true });
  expect(await service.audits(LIAR)).toMatchObject({
    validInARow: 1,
    suspendedUntil: null,
    recent: [{ outcome: 'valid' }, { outcome: 'bad' }, { outcome: 'bad' }],
  });
});

test('three liars do not fail a job: what they hand in says nothing against it', async () => {
  const job = await network.submit(await network.model(), 1);
  for (let number = 10; number < 15; number += 1) await handIn(workerOf(number), await lease(workerOf(number)), WRONG);
  expect(await network.store.job(job)).toMatchObject({ state: 'queued' });
  expect(await handIn(HONEST, await lease(HONEST), RIGHT)).toMatchObject({ type: 'accepted' });
});

test('trust is earned by valid audits, and then only some results are audited', async () => {
  const { service } = network.coordinator;
  await network.submit(await network.model(), 60);
  let audited = 0;
  for (let number = 0; number < 60; number += 1) {
    const before = await service.audits(HONEST);
    expect(before.probability).toBe(auditProbability(before));
    const reply = await handIn(HONEST, await lease(HONEST), RIGHT);
    if (reply.type === 'accepted' && reply.audited) audited += 1;
    else expect(before.validInARow).toBeGreaterThanOrEqual(10);
  }
  expect(audited).toBeGreaterThanOrEqual(10);
  expect(audited).toBeLessThan(60);
  expect(await service.audits(HONEST)).toMatchObject({ validInARow: audited, valid: audited, bad: 0 });
});

test('a canary looks like work: a copy of a real shard that others computed, in a job of its own, always checked, paid, and never seen twice', async () => {
  const model = await network.model();
  await network.submit(model, 3);
  // Every draw comes true: results are kept as sources, and the next worker is given a canary.
  network.random = () => 0;
  const real = await lease(HONEST);
  expect(await handIn(HONEST, real, RIGHT)).toMatchObject({ type: 'accepted', audited: true });
  const canary = await lease(OTHER);
  expect(await network.store.canaryAnswer(canary.shard.id)).toMatchObject({ source: real.shard.id, outputs: digestOf(RIGHT) });
  expect(await network.store.job(canary.shard.jobId)).toBeNull();
  expect(canary.shard.id).not.toBe(real.shard.id);
  expect({ ...canary.shard, id: '', jobId: '' }).toEqual({ ...real.shard, id: '', jobId: '' });
  expect(Object.keys(canary)).toEqual(Object.keys(real));
  const reply = await handIn(OTHER, canary, RIGHT);
  expect(reply).toMatchObject({ type: 'accepted', audited: true, receipt: { jobId: canary.shard.jobId, amount: '10' } });
  expect(await network.store.holders()).not.toContain(holderOf.spareShard(canary.shard.id));
  // The one that knows it goes on with real work, and so does whoever computed the source.
  for (const worker of [OTHER, HONEST]) {
    const next = await lease(worker);
    expect(await network.store.canaryAnswer(next.shard.id)).toBeNull();
    await network.coordinator.service.release(worker, { shardId: next.shard.id, attempt: next.attempt }, 'paused', null);
  }
});

test('a canary answered wrongly is refused like any other, and one that is given back is lent to nobody else', async () => {
  await network.submit(await network.model(), 5);
  network.random = () => 0;
  await handIn(HONEST, await lease(HONEST), RIGHT);
  const canary = await lease(LIAR);
  expect(await network.store.canaryAnswer(canary.shard.id)).not.toBeNull();
  expect(await handIn(LIAR, canary, WRONG)).toMatchObject({ type: 'rejected', code: 'AUDIT_FAILED' });
  expect(await network.store.shard(canary.shard.id)).toMatchObject({ state: 'failed' });
  const given = await lease(OTHER);
  expect(await network.store.canaryAnswer(given.shard.id)).not.toBeNull();
  await network.coordinator.service.release(OTHER, { shardId: given.shard.id, attempt: given.attempt }, 'paused', null);
  expect(await network.store.shard(given.shard.id)).toMatchObject({ state: 'failed' });
  expect(await network.store.holders()).not.toContain(holderOf.spareShard(given.shard.id));
});

test('after a calibration on real inputs less is tolerated: a result that passed before is refused', async () => {
  const inspect = async () => ({ coarse: false, random: null, indices: [] });
  const tools = { reference: { compute: async () => RIGHT }, inspect, measuring: network.coordinator.measuring };
  const parts = { store: network.store, blobs: network.blobs, clock: () => network.now, log: () => undefined };
  const { calibrate, appeals, reinstate } = trustHandlers(parts, tools);
  const model = await network.model();
  await network.submit(model, 8);
  const near = encodeSafetensors(new Map([['y', float32([2.0001])]]));
  expect(await calibrate({ model: null, samples: 2, workers: false })).toEqual({ calibrations: [], left: [] });
  // The first result is kept with its inputs.
  network.random = () => 0;
  expect(await handIn(HONEST, await lease(HONEST), RIGHT)).toMatchObject({ type: 'accepted', audited: true });
  network.random = () => 0.5;
  expect(await handIn(OTHER, await lease(OTHER), near)).toMatchObject({ type: 'accepted', audited: true });
  expect(await calibrate({ model: DIGEST, samples: 2, workers: false })).toEqual({ calibrations: [], left: [] });
  const { calibrations } = await calibrate({ model: model.digest, samples: 2, workers: false });
  expect(calibrations).toMatchObject([{ model: model.digest, claimed: 'cpu', reference: 'cpu', distance: 1e-6, worst: 0 }]);
  expect(await handIn(OTHER, await lease(OTHER), near)).toMatchObject({ type: 'rejected', code: 'AUDIT_FAILED' });
  expect(await handIn(OTHER, await lease(OTHER), RIGHT)).toMatchObject({ type: 'accepted' });

  expect(await reinstate({ worker: OTHER.address })).toEqual({ suspended: false });
  await handIn(OTHER, await lease(OTHER), near);
  expect((await appeals({})).appeals).toMatchObject([{ worker: OTHER.address, tolerated: { distance: 1e-6 } }, { worker: OTHER.address }]);
  expect(await reinstate({ worker: OTHER.address })).toEqual({ suspended: true });
  expect((await lease(OTHER)).attempt).toBeGreaterThan(0);
});

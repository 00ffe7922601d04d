import { afterEach, expect, test } from 'vitest';
import { holderOf } from '../../../coordinator/holding.ts';
import type { Worker } from '../../../coordinator/service.ts';
import type { Asker } from '../../../coordinator/trust/seconds.ts';
import { secondsFor } from '../../../coordinator/trust/seconds.ts';
import type { LeaseRequest, SubmitReply } from '../../../core/contract/network.ts';
import { encodeSafetensors } from '../../../core/contract/safetensors.ts';
import type { Lease } from '../../../core/contract/shard.ts';
import { GB, REQUEST, SimulatedNetwork, workerOf } from '../leasing/simulated.ts';
import { digestOf, float32, submissionOf } from '../workbench.ts';

const RIGHT = encodeSafetensors(new Map([['y', float32([2])]]));
const WRONG = encodeSafetensors(new Map([['y', float32([3])]]));
const [FIRST, SECOND, THIRD] = [workerOf(1), workerOf(2), workerOf(3)];
const ASSET = 'hearth:studio/credit:practice';

let network: SimulatedNetwork;
let computed = 0;
afterEach(() => network.dispose());

/** A network whose audits go to a second worker where one takes them up in this time (ms). Every result is audited, and no agreement looked at again. */
async function open(offerMs = 10_000): Promise<void> {
  computed = 0;
  const reference = {
    async compute() {
      computed += 1;
      return RIGHT;
    },
  };
  network = new SimulatedNetwork({ offerMs, reference });
  network.random = () => 0.5;
}

/** Has proven enough for its word to count. */
async function trust(...workers: Worker[]): Promise<void> {
  for (const { address } of workers) {
    for (let number = 0; number < 10; number += 1) {
      const audit = { shardId: `before-${number}-${address}`, attempt: 1, worker: address, at: network.now, outcome: 'valid' } as const;
      await network.store.recordAudit({ ...audit, means: 'reference', distance: 0, detail: '' });
    }
  }
}

async function lease(worker: Worker, request: Partial<LeaseRequest> = {}): Promise<Lease> {
  const [taken] = await network.lease(worker, request);
  if (taken === undefined) throw new Error(`no lease for ${worker.address}`);
  return taken;
}

const handIn = (worker: Worker, taken: Lease, outputs: Uint8Array): Promise<SubmitReply> =>
  network.coordinator.service.submit(worker, submissionOf(taken, outputs), outputs);

/** Resolves when this worker was told of work. */
async function told(worker: Worker): Promise<void> {
  await expect.poll(() => network.told.some(({ event, to }) => event.type === 'work' && to === worker.address)).toBe(true);
}

const standings = (...workers: Worker[]) => workers.map(({ address }) => network.store.standing(address));

test('an audited result is held against that of a second worker, who gets it as work like any other and is paid by the network', async () => {
  await open();
  await trust(FIRST, SECOND);
  const job = await network.submit(await network.model(), 1, { requester: 'ann' });
  const taken = await lease(FIRST);
  expect(await network.lease(SECOND)).toEqual([]);
  const reply = handIn(FIRST, taken, RIGHT);
  await told(SECOND);
  const twin = await lease(SECOND);
  expect(twin.shard.id).not.toBe(taken.shard.id);
  expect(await network.store.job(twin.shard.jobId)).toBeNull();
  expect({ ...twin.shard, id: '', jobId: '' }).toEqual({ ...taken.shard, id: '', jobId: '' });
  expect(Object.keys(twin)).toEqual(Object.keys(taken));
  expect(await handIn(SECOND, twin, RIGHT)).toMatchObject({ type: 'accepted', audited: true, receipt: { amount: '10' } });
  expect(await reply).toMatchObject({ type: 'accepted', audited: true, receipt: { amount: '10' } });
  expect(computed).toBe(0);
  expect(standings(FIRST, SECOND)).toMatchObject([
    { validInARow: 11, bad: 0 },
    { validInARow: 11, bad: 0 },
  ]);
  // The requester is charged for its shard, and the network's operator bears the audit.
  expect(await network.store.job(job)).toMatchObject({ state: 'done', charge: { units: 1, perUnit: '10' } });
  expect(await network.store.requesters()).toMatchObject([{ spent: '10' }]);
  expect(await network.store.auditPay()).toEqual(new Map([[ASSET, 10n]]));
  expect(await network.store.holders()).not.toContain(holderOf.spareShard(twin.shard.id));
  const { recent } = await network.coordinator.service.audits(SECOND);
  expect(recent[0]).toEqual({ shardId: twin.shard.id, attempt: 1, at: network.now, outcome: 'valid', detail: '' });
});

test.each([
  ['the first', WRONG, RIGHT],
  ['the second', RIGHT, WRONG],
] as const)('where two differ the reference settles, and only who is wrong is blamed: %s', async (_name, one, other) => {
  await open();
  await trust(FIRST, SECOND);
  const job = await network.submit(await network.model(), 1);
  const taken = await lease(FIRST);
  await network.lease(SECOND);
  const first = handIn(FIRST, taken, one);
  await told(SECOND);
  const twin = await lease(SECOND);
  const second = await handIn(SECOND, twin, other);
  const [liar, honest] = one === WRONG ? [FIRST, SECOND] : [SECOND, FIRST];
  const [refused, accepted] = one === WRONG ? [await first, second] : [second, await first];
  expect(refused).toMatchObject({ type: 'rejected', code: 'AUDIT_FAILED' });
  expect(accepted).toMatchObject({ type: 'accepted', audited: true });
  // Once for each of two numbers of threads, for both of them.
  expect(computed).toBe(2);
  expect(standings(liar, honest)).toMatchObject([
    { validInARow: 0, bad: 1 },
    { validInARow: 11, bad: 0 },
  ]);
  const [appeal, ...more] = await network.store.appeals(10);
  expect(more).toEqual([]);
  expect(appeal).toMatchObject({ worker: liar.address, bytesKept: true, claimed: { outputs: digestOf(WRONG), backend: 'cpu' } });
  expect(await network.blobs.read(appeal?.claimed.outputs ?? '')).toEqual(Buffer.from(WRONG));
  expect(await network.store.job(job)).toMatchObject({ state: liar === FIRST ? 'queued' : 'done' });
  expect(await network.store.shard(twin.shard.id)).toMatchObject({ state: liar === FIRST ? 'done' : 'failed' });
});

test('accomplices who agree on the same lie are found out by the reference, which looks at some agreements too', async () => {
  await open();
  await trust(FIRST, SECOND);
  await network.submit(await network.model(), 1);
  const taken = await lease(FIRST);
  await network.lease(SECOND);
  const first = handIn(FIRST, taken, WRONG);
  await told(SECOND);
  const twin = await lease(SECOND);
  network.random = () => 0.1;
  expect(await handIn(SECOND, twin, WRONG)).toMatchObject({ type: 'rejected', code: 'AUDIT_FAILED' });
  expect(await first).toMatchObject({ type: 'rejected', code: 'AUDIT_FAILED' });
  expect(standings(FIRST, SECOND)).toMatchObject([{ bad: 1 }, { bad: 1 }]);
});

test('nobody who has proven nothing, is suspended, is the same owner, computes on something else or waits for its own audit is asked; then the reference audits at once', async () => {
  await open();
  const [suspended, relative, elsewhere] = [
    workerOf(4),
    { ...workerOf(5), payee: FIRST.payee.toUpperCase().replace('0X', '0x') },
    workerOf(6),
  ];
  await trust(FIRST, suspended, relative, elsewhere);
  for (let at = 0; at < 2; at += 1) {
    const audit = { shardId: `bad-${at}`, attempt: 1, worker: suspended.address, at: network.now + at, outcome: 'bad' } as const;
    await network.store.recordAudit({ ...audit, means: 'form', distance: null, detail: '' });
  }
  const model = await network.model();
  const [newcomer] = [THIRD];
  for (const worker of [newcomer, suspended, relative]) await network.lease(worker);
  await network.lease(elsewhere, { backends: [{ name: 'cuda', device: 'GPU', memoryBytes: 16 * GB }] });
  await network.submit(model, 1);
  expect(await handIn(FIRST, await lease(FIRST), RIGHT)).toMatchObject({ type: 'accepted', audited: true });
  expect(computed).toBe(1);
  expect(await network.store.auditPay()).toEqual(new Map());

  // Of two that would wait for each other the later one's result goes to the reference.
  network.pass(200_000);
  await trust(SECOND);
  await network.submit(model, 2);
  const [one, other] = [await lease(FIRST), await lease(SECOND)];
  const waiting = handIn(FIRST, one, RIGHT);
  await told(SECOND);
  expect(await handIn(SECOND, other, RIGHT)).toMatchObject({ type: 'accepted', audited: true });
  expect(computed).toBe(2);
  expect(await handIn(SECOND, await lease(SECOND), RIGHT)).toMatchObject({ type: 'accepted' });
  expect(await waiting).toMatchObject({ type: 'accepted', audited: true });
  expect(computed).toBe(2);
});

test('who does not take it up in time is not waited for: another one is asked, and then the reference', async () => {
  await open(50);
  await trust(FIRST, SECOND, THIRD);
  await network.submit(await network.model(), 1);
  const taken = await lease(FIRST);
  for (const worker of [SECOND, THIRD]) await network.lease(worker);
  expect(await handIn(FIRST, taken, RIGHT)).toMatchObject({ type: 'accepted', audited: true });
  const asked = network.told.filter(({ event, to }) => event.type === 'work' && to !== null).map(({ to }) => to);
  expect(new Set(asked)).toEqual(new Set([SECOND.address, THIRD.address]));
  expect(computed).toBe(1);
  // It is nobody's work any more, and nothing of it is kept.
  expect([await network.lease(SECOND), await network.lease(THIRD)]).toEqual([[], []]);
  expect((await network.store.holders()).filter((holder) => holder.startsWith('shard:'))).toEqual([]);
});

test('who gives it back, or hands in something of another form, leaves it to the reference', async () => {
  await open();
  await trust(FIRST, SECOND);
  await network.submit(await network.model(), 2);
  const [one, other] = [await lease(FIRST), await lease(FIRST)];
  await network.lease(SECOND);
  const waiting = handIn(FIRST, one, RIGHT);
  await told(SECOND);
  const twin = await lease(SECOND);
  await network.coordinator.service.release(SECOND, { shardId: twin.shard.id, attempt: twin.attempt }, 'paused', null);
  expect(await waiting).toMatchObject({ type: 'accepted', audited: true });
  expect(computed).toBe(1);
  expect(standings(SECOND)).toMatchObject([{ validInARow: 10, bad: 0 }]);

  network.told.length = 0;
  await network.lease(SECOND);
  const again = handIn(FIRST, other, RIGHT);
  await told(SECOND);
  const nothing = encodeSafetensors(new Map([['z', float32([2])]]));
  expect(await handIn(SECOND, await lease(SECOND), nothing)).toMatchObject({ type: 'rejected', code: 'RESULT_MALFORMED' });
  expect(await again).toMatchObject({ type: 'accepted', audited: true });
  expect(standings(SECOND)).toMatchObject([{ validInARow: 0, bad: 1 }]);
});

test('a result that is found right by the reference too becomes a canary, which neither of the two is given', async () => {
  await open();
  await trust(FIRST, SECOND);
  await network.submit(await network.model(), 3);
  const taken = await lease(FIRST);
  await network.lease(SECOND, { warmModels: ['f'.repeat(64)] });
  const waiting = handIn(FIRST, taken, RIGHT);
  await told(SECOND);
  const twin = await lease(SECOND);
  network.random = () => 0.05;
  expect(await handIn(SECOND, twin, RIGHT)).toMatchObject({ type: 'accepted' });
  expect(await waiting).toMatchObject({ type: 'accepted' });
  for (const { address } of [FIRST, SECOND]) expect(await network.store.canariesFor(address, 10)).toEqual([]);
  expect(await network.store.canariesFor(THIRD.address, 10)).toMatchObject([{ shard: { id: taken.shard.id }, worker: FIRST.address }]);
});

test('likest first: the same backend, then the same device, then the model at hand; and of nobody in doubt', () => {
  const model = 'a'.repeat(64);
  const asker = (number: number, request: Partial<LeaseRequest>): Asker => ({ ...workerOf(number), request: { ...REQUEST, ...request } });
  const on = (name: 'cpu' | 'cuda' | 'webgpu', device: string) => ({ backends: [{ name, device, memoryBytes: GB }] });
  const [a, b, c, d] = [
    asker(1, on('cuda', 'RTX 4090')),
    asker(2, on('cuda', 'RTX 3060')),
    asker(3, { ...on('cuda', 'RTX 4090'), diskModels: [model] }),
    asker(4, {}),
  ];
  const claimant = { worker: workerOf(9).address, payee: workerOf(9).address, backend: 'cuda', device: 'RTX 4090', model } as const;
  expect(secondsFor(claimant, [a, b, c, d])).toEqual([c]);
  expect(secondsFor(claimant, [a, b, d])).toEqual([a]);
  expect(secondsFor({ ...claimant, device: 'RTX 5070' }, [b, d])).toEqual([b]);
  expect(secondsFor({ ...claimant, backend: 'cpu', device: null }, [a, d])).toEqual([d]);
  expect(secondsFor({ ...claimant, backend: null }, [a, b, c, d])).toEqual([]);
  expect(secondsFor({ ...claimant, worker: workerOf(1).address.toUpperCase() }, [a])).toEqual([]);
});

test('what two backends differ by is measured by lending both the same real work, and a machine that is too far off is left out', async () => {
  await open();
  const [gpu, other, liar] = [workerOf(11), workerOf(12), workerOf(13)];
  await trust(FIRST, gpu, other, liar);
  const on = (name: 'cuda' | 'webgpu') => ({ backends: [{ name, device: 'A GPU', memoryBytes: 16 * GB }] });
  const inspect = async () => ({ coarse: false, random: null, indices: [] });
  const { measuring } = network.coordinator;
  const model = await network.model();
  await network.submit(model, 1);
  expect(await measuring.measure({ model: null, samples: 2 }, inspect)).toEqual({ calibrations: [], left: [] });
  const taken = await lease(FIRST);
  network.random = () => 0;
  expect(await handIn(FIRST, taken, RIGHT)).toMatchObject({ type: 'accepted' });
  network.random = () => 0.5;
  network.pass(200_000);
  expect(await measuring.measure({ model: null, samples: 2 }, inspect)).toMatchObject({
    left: [{ reason: { key: 'calibrate.no-machine' } }],
  });

  const near = (value: number) => encodeSafetensors(new Map([['y', float32([value])]]));
  const machines = [
    [gpu, 'cuda', near(2.0002)],
    [other, 'cuda', near(2.0001)],
    [liar, 'webgpu', WRONG],
  ] as const;
  for (const [worker, name] of machines) await network.lease(worker, on(name));
  const measured = measuring.measure({ model: model.digest, samples: 2 }, inspect);
  for (const [worker, name, outputs] of machines) {
    await told(worker);
    const copy = await lease(worker, on(name));
    const submission = submissionOf(copy, outputs, { backend: name });
    // Nobody is judged by it, and everybody is paid.
    expect(await network.coordinator.service.submit(worker, submission, outputs)).toMatchObject({ type: 'accepted', audited: false });
  }
  const { calibrations, left } = await measured;
  expect(calibrations.map(({ claimed, reference, comparisons }) => [claimed, reference, comparisons])).toEqual([
    ['cuda', 'cpu', 2],
    ['cuda', 'cuda', 1],
  ]);
  const [across, same] = calibrations;
  expect(across?.worst).toBeCloseTo(2e-4, 6);
  expect(across?.distance).toBeCloseTo(2e-3, 5);
  expect(same?.worst).toBeCloseTo(1e-4, 6);
  expect(left.map(({ claimed, reason }) => [claimed, reason.key])).toEqual([
    ['webgpu', 'calibrate.too-far'],
    [null, 'calibrate.no-answer'],
    ['webgpu', 'calibrate.one-machine'],
  ]);
  expect(await network.store.calibrations(model.digest)).toHaveLength(2);
  expect(standings(liar)).toMatchObject([{ bad: 0, validInARow: 10 }]);
  expect((await network.store.holders()).filter((holder) => /^(shard|measured):/.test(holder))).toEqual([]);
});

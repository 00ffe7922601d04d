import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AFFINITY_MS } from '../../../coordinator/leasing/share.ts';
import type { Lease } from '../../../core/contract/shard.ts';
import { GB, SimulatedNetwork, TERMS, workerOf } from './simulated.ts';

let network: SimulatedNetwork;
beforeEach(() => {
  network = new SimulatedNetwork({ leaseMs: 60_000 });
});
afterEach(() => network.dispose());

const [a, b, c] = [workerOf(1), workerOf(2), workerOf(3)];
const ASSET = TERMS.asset;

/** Asks, computes and hands in, so many times; gives whose jobs it was given. */
async function work(worker: typeof a, times: number, runMs: number, request = {}): Promise<string[]> {
  const jobs: string[] = [];
  for (let done = 0; done < times; done += 1) {
    const [lease] = await network.lease(worker, request);
    if (lease === undefined) throw new Error('no work');
    jobs.push(lease.shard.jobId);
    network.pass(runMs);
    expect(await network.submitResult(worker, lease, runMs)).toMatchObject({ type: 'accepted' });
  }
  return jobs;
}

const share = (jobs: readonly string[], job: string) => jobs.filter((each) => each === job).length;

describe('fair share', () => {
  test('requesters get the same share of the machines, however many jobs they have', async () => {
    const model = await network.model();
    const large = await network.submit(model, 100, { requester: 'one' });
    const small: string[] = [];
    for (let index = 0; index < 10; index += 1) small.push(await network.submit(model, 10, { requester: 'many' }));
    const jobs = await work(a, 40, 500);
    // One more or less, since what a shard takes is not known before the first.
    expect(Math.abs(share(jobs, large) - 20)).toBeLessThanOrEqual(1);
    for (const job of small) expect(Math.abs(share(jobs, job) - 2)).toBeLessThanOrEqual(1);
  });

  test('who comes later starts level with the others, and nobody waits for the one who was first', async () => {
    const model = await network.model();
    const first = await network.submit(model, 100, { requester: 'first' });
    await work(a, 30, 500);
    const second = await network.submit(model, 100, { requester: 'second' });
    const jobs = await work(a, 20, 500);
    expect(share(jobs, first)).toBeGreaterThanOrEqual(9);
    expect(share(jobs, second)).toBeGreaterThanOrEqual(9);
  });

  test('work of long shards counts for what it takes', async () => {
    const [quick, slow] = [await network.model(), await network.model()];
    const short = await network.submit(quick, 200, { requester: 'short' });
    const long = await network.submit(slow, 200, { requester: 'long' });
    const took = new Map([
      [short, 0],
      [long, 0],
    ]);
    for (let done = 0; done < 60; done += 1) {
      const [lease] = await network.lease(a);
      if (lease === undefined) throw new Error('no work');
      const runMs = lease.shard.jobId === long ? 4000 : 1000;
      took.set(lease.shard.jobId, (took.get(lease.shard.jobId) ?? 0) + runMs);
      await network.submitResult(a, lease, runMs);
    }
    // Two shards' worth either way: what a first one takes is not known beforehand.
    expect(Math.abs((took.get(short) ?? 0) - (took.get(long) ?? 0))).toBeLessThanOrEqual(8000);
  });

  test('a machine that has a model loaded goes on with it, but not for longer than a stated time', async () => {
    const [warm, cold] = [await network.model(), await network.model()];
    const loaded = await network.submit(warm, 100, { requester: 'loaded' });
    const waiting = await network.submit(cold, 100, { requester: 'waiting' });
    const jobs = await work(a, 30, 1000, { warmModels: [warm.digest] });
    const firstOther = jobs.indexOf(waiting);
    expect(share(jobs.slice(0, 5), loaded)).toBe(5);
    expect(firstOther).toBeGreaterThan(0);
    expect(firstOther * 1000).toBeLessThanOrEqual(AFFINITY_MS + 1000);
  });

  test('requesters whose work no machine can do keep nobody else waiting', async () => {
    const model = await network.model();
    for (let index = 0; index < 80; index += 1) {
      await network.submit(model, 1, { requester: `large-${index}`, needs: { modelBytes: (index + 100) * GB } });
    }
    const small = await network.submit(model, 3, { requester: 'small', needs: { modelBytes: GB } });
    expect(await work(a, 3, 500)).toEqual([small, small, small]);
    expect(await network.refusal(a)).toBe('no-work.memory');
  });

  test('a stream of new jobs for a loaded model does not keep an old one waiting', async () => {
    const [warm, cold] = [await network.model(), await network.model()];
    const old = await network.submit(cold, 1, { requester: 'one' });
    const jobs: string[] = [];
    for (let index = 0; index < 60 && !jobs.includes(old); index += 1) {
      await network.submit(warm, 1, { requester: 'one' });
      jobs.push(...(await work(a, 1, 1000, { warmModels: [warm.digest] })));
    }
    expect(jobs).toContain(old);
  });
});

describe('what fits a machine', () => {
  test('work goes to machines that can do it, and the others are told what keeps it from them', async () => {
    const model = await network.model();
    expect(await network.refusal(a)).toBe('no-work.queue-empty');
    await network.submit(model, 2, { needs: { modelBytes: 20 * GB } });
    expect(await network.refusal(a)).toBe('no-work.memory');
    const gpu = (memoryBytes: number) => [{ name: 'cuda' as const, device: 'GPU', memoryBytes }];
    expect(await network.refusal(a, { backends: gpu(12 * GB) })).toBe('no-work.memory');
    expect(await network.refusal(a, { backends: gpu(24 * GB) })).toBeNull();
    await network.submit(model, 3, { needs: { modelBytes: GB, backends: ['cuda'] } });
    expect(await network.refusal(b)).toBe('no-work.backend');
    expect(await network.refusal(b, { backends: gpu(2 * GB) })).toBeNull();
  });

  test('what the user refuses, and what pays too little, is not lent there', async () => {
    const model = await network.model();
    await network.submit(model, 1, { needs: { category: 'images' } });
    expect(await network.refusal(a, { refusedCategories: ['images'] })).toBe('no-work.category');
    const floors = [{ asset: ASSET, unit: 'run' as const, perUnit: '11' }];
    expect(await network.refusal(a, { floors })).toBe('no-work.floor');
    expect(await network.refusal(a, { floors: [{ asset: ASSET, unit: 'token', perUnit: '11' }] })).toBeNull();
  });

  test('a network that does not accept the machine\u2019s isolation says which it accepts', async () => {
    const reply = await network.coordinator.service.lease(a, { isolation: 'process', warmModels: [], memoryBytes: GB, practice: false });
    expect(reply).toMatchObject({ type: 'no-work', reason: { key: 'no-work.isolation', params: { accepted: 'os, chromium' } } });
  });

  test('a job below every floor learns the price at which it would run, until a machine takes it as it is', async () => {
    const job = await network.submit(await network.model(), 1, { needs: { modelBytes: 8 * GB } });
    const at = async () => {
      // What the machines said is read again after this.
      network.pass(5000);
      return (await network.coordinator.intake.job(job))?.wouldRunAt;
    };
    const floor = (perUnit: string) => ({ floors: [{ asset: ASSET, unit: 'run' as const, perUnit }] });
    expect(await at()).toBeUndefined();
    await network.lease(a, floor('40'));
    await network.lease(b, floor('25'));
    // It could not do it at any price.
    await network.lease(c, { ...floor('12'), memoryBytes: 4 * GB });
    expect(await at()).toBe('25');
    network.pass(20 * 60_000);
    expect(await at()).toBeUndefined();
    expect(await network.refusal(a)).toBeNull();
    expect(await at()).toBeUndefined();
  });
});

describe('batches and deadlines', () => {
  test('a machine gets about a second of work at once, as far as its own history tells', async () => {
    const model = await network.model();
    await network.submit(model, 200);
    expect(await network.lease(a, { count: 64 })).toHaveLength(1);
    await network.submitResult(a, (await network.lease(a))[0] as Lease, 100);
    const batch = await network.lease(a, { count: 64 });
    expect(batch).toHaveLength(10);
    expect(new Set(batch.map(({ shard }) => shard.id)).size).toBe(10);
    // Another machine's speed tells nothing of this one.
    expect(await network.lease(b, { count: 64 })).toHaveLength(1);
  });

  test('a lease of work that is known well is short, and of any other as long as the network\u2019s longest', async () => {
    await network.submit(await network.model(), 10);
    const [first] = await network.lease(a);
    expect(first?.leaseMs).toBe(60_000);
    await network.submitResult(a, first as Lease, 200);
    const warmModels = [first?.shard.model.digest ?? ''];
    expect((await network.lease(a, { warmModels }))[0]?.leaseMs).toBe(30_000);
    // The model has to come first.
    expect((await network.lease(a))[0]?.leaseMs).toBe(60_000);
  });

  test('a machine that has enough is given no more', async () => {
    await network.submit(await network.model(), 300);
    for (let index = 0; index < 128; index += 1) await network.lease(a);
    expect(await network.refusal(a)).toBe('no-work.too-many');
    expect(await network.refusal(b)).toBeNull();
  });
});

describe('late work', () => {
  const known = async (worker: typeof a) => {
    await work(worker, 1, 500);
  };

  test('near its job\u2019s end it goes to a second machine too: the first valid answer is paid, the other one is not to blame', async () => {
    const model = await network.model();
    await network.submit(model, 3);
    await known(a);
    await known(b);
    const warmModels = [model.digest];
    const [late] = await network.lease(a, { warmModels });
    expect(await network.lease(b, { warmModels })).toEqual([]);
    network.pass(10_000);
    // Never to the one that has it.
    expect(await network.lease(a, { warmModels })).toEqual([]);
    const [second] = await network.lease(b, { warmModels });
    expect(second).toMatchObject({ shard: late?.shard, attempt: 2 });
    expect(await network.lease(c, { warmModels })).toEqual([]);
    expect(await network.submitResult(b, second as Lease, 500)).toMatchObject({ type: 'accepted' });
    await expect
      .poll(() => network.told)
      .toContainEqual({ event: { type: 'revoked', shardId: late?.shard.id, attempt: 1 }, to: a.address });
    expect(await network.submitResult(a, late as Lease, 20_000)).toEqual({ type: 'expired' });
    expect(await network.coordinator.service.progress(a, { shardId: late?.shard.id ?? '', attempt: 1 }, null)).toBe(false);
    expect(network.store.standing(a.address)).toMatchObject({ bad: 0 });
    expect(await network.store.job('job-1')).toMatchObject({ state: 'done', accepted: 3 });
  });

  test('the first machine\u2019s answer counts where it comes first after all', async () => {
    const model = await network.model();
    await network.submit(model, 2);
    await known(a);
    const warmModels = [model.digest];
    const [late] = await network.lease(a, { warmModels });
    network.pass(10_000);
    const [second] = await network.lease(b, { warmModels });
    expect(second?.attempt).toBe(2);
    expect(await network.submitResult(a, late as Lease, 10_000)).toMatchObject({ type: 'accepted' });
    expect(await network.submitResult(b, second as Lease, 500)).toEqual({ type: 'expired' });
  });

  test('work that is late but nearly done by what its machine tells is left there', async () => {
    const model = await network.model();
    await network.submit(model, 3);
    await known(a);
    await known(b);
    const warmModels = [model.digest];
    const [late] = await network.lease(a, { warmModels });
    network.pass(10_000);
    const key = { shardId: late?.shard.id ?? '', attempt: 1 };
    await network.coordinator.service.progress(a, key, 0.99);
    expect(await network.lease(b, { warmModels })).toEqual([]);
    await network.coordinator.service.progress(a, key, 0.1);
    expect(await network.lease(b, { warmModels })).toMatchObject([{ attempt: 2 }]);
  });

  test('a second machine that gives it back leaves it with the first', async () => {
    const model = await network.model();
    await network.submit(model, 2);
    await known(a);
    const [late] = await network.lease(a, { warmModels: [model.digest] });
    network.pass(10_000);
    const [second] = await network.lease(b);
    await network.coordinator.service.release(b, { shardId: second?.shard.id ?? '', attempt: 2 }, 'paused', null);
    network.pass(10_000);
    expect(await network.lease(c)).toMatchObject([{ attempt: 3 }]);
    await network.coordinator.service.release(c, { shardId: second?.shard.id ?? '', attempt: 3 }, 'stopped', null);
    expect(await network.submitResult(a, late as Lease, 10_000)).toMatchObject({ type: 'accepted' });
  });
});

test('work that comes wakes only so many of those who wait for such work', async () => {
  const large = { memoryBytes: 80 * GB };
  for (let number = 0; number < 20; number += 1) await network.lease(workerOf(number), number < 10 ? {} : large);
  await network.submit(await network.model(), 2, { needs: { modelBytes: 40 * GB } });
  const told = () => network.told.filter(({ event }) => event.type === 'work').map(({ to }) => to);
  await expect.poll(told).toHaveLength(4);
  expect(told()).toEqual([10, 11, 12, 13].map((number) => workerOf(number).address));
});

test('of thousands who ask at the same moment some are told to come back, each at its own time, and nothing is lent twice', async () => {
  await network.submit(await network.model(), 100);
  const ask = { isolation: 'os' as const, warmModels: [], memoryBytes: GB, practice: false };
  const replies = await Promise.all(Array.from({ length: 4000 }, (_, number) => network.coordinator.service.lease(workerOf(number), ask)));
  const lent = replies.flatMap((reply) => (reply.type === 'lease' ? [reply.lease.shard.id] : []));
  expect(lent).toHaveLength(100);
  expect(new Set(lent).size).toBe(100);
  const busy = replies.flatMap((reply) => (reply.type === 'no-work' && reply.reason.key === 'no-work.busy' ? [reply.retryMs ?? 0] : []));
  expect(busy.length).toBeGreaterThan(1000);
  expect(Math.min(...busy)).toBeLessThan(1500);
  expect(Math.max(...busy)).toBeGreaterThan(2500);
});

test('a clock that is an hour wrong neither ends a lease nor keeps one', async () => {
  await network.submit(await network.model(), 1);
  const [lease] = await network.lease(a);
  for (const wrong of [3_600_000, -7_200_000]) {
    network.now += wrong;
    expect(await network.coordinator.service.progress(a, { shardId: lease?.shard.id ?? '', attempt: 1 }, null)).toBe(true);
    expect(await network.lease(b)).toEqual([]);
  }
  network.monotonicMs += 60_000;
  expect(await network.lease(b)).toMatchObject([{ attempt: 2 }]);
});

test('a worker can read the bytes of what it holds, and of nothing else', async () => {
  const model = await network.model();
  await network.submit(model, 2);
  const { service } = network.coordinator;
  expect(await service.mayRead(a, model.digest)).toBe(false);
  const [lease] = await network.lease(a);
  expect(await service.mayRead(a, model.digest)).toBe(true);
  expect(await service.mayRead(a, lease?.shard.inputs.digest ?? '')).toBe(true);
  const { files } = JSON.parse(new TextDecoder().decode(await network.blobs.read(model.digest)));
  expect(await service.mayRead(a, files[0].digest)).toBe(true);
  expect(await service.mayRead(b, files[0].digest)).toBe(false);
  expect(await service.mayRead(a, '0'.repeat(64))).toBe(false);
  await network.submitResult(a, lease as Lease, 5);
  expect(await service.mayRead(a, model.digest)).toBe(false);
});

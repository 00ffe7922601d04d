import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openBlobs } from '../../../coordinator/blobs.ts';
import type { NatsStore } from '../../../coordinator/nats/store.ts';
import type { Lease } from '../../../core/contract/shard.ts';
import { natsMissing } from '../../nats.ts';
import { Replicas } from '../nats/replicas.ts';
import { SimulatedNetwork, workerOf } from './simulated.ts';

const missing = natsMissing();
const [a, b] = [workerOf(1), workerOf(2)];

describe.skipIf(missing !== null)('two coordinators of one network', () => {
  let replicas: Replicas;
  let stores: NatsStore[];
  let first: SimulatedNetwork;
  let second: SimulatedNetwork;
  beforeAll(async () => {
    replicas = await Replicas.start();
  });
  afterAll(() => replicas.stop());
  beforeEach(async () => {
    const networkId = replicas.newNetwork();
    stores = [await replicas.open(networkId, 'a'), await replicas.open(networkId, 'b')];
    const [one, two] = stores as [NatsStore, NatsStore];
    const blobs = openBlobs(replicas.dir(networkId, 'bytes'));
    first = new SimulatedNetwork({
      leaseMs: 60_000,
      offerMs: 10_000,
      shared: { networkId, store: one.store, caughtUp: one.caughtUp, blobs, name: 'one' },
    });
    second = new SimulatedNetwork({
      leaseMs: 60_000,
      offerMs: 10_000,
      shared: { networkId, store: two.store, caughtUp: two.caughtUp, blobs, name: 'two' },
    });
    // An hour wrong, one of them.
    second.now += 3_600_000;
    // Both have wiped what a crash may have left, before anything is put there.
    for (const { coordinator } of [first, second]) await coordinator.intake.jobs();
  });
  afterEach(async () => {
    await first.dispose();
    await second.dispose();
    await replicas.closeAll();
  });
  const caughtUp = () => Promise.all(stores.map((store) => store.caughtUp()));
  const keyOf = (lease: Lease | undefined) => ({ shardId: lease?.shard.id ?? '', attempt: lease?.attempt ?? 0 });

  test('whichever is asked, each shard is lent once, every job ends, and each worker\u2019s receipts are one chain', async () => {
    const model = await first.model();
    await first.submit(model, 60);
    await second.submit(model, 60);
    await caughtUp();
    const lent = new Set<string>();
    const networks = [first, second];
    await Promise.all(
      Array.from({ length: 24 }, async (_, number) => {
        for (let turn = 0; ; turn += 1) {
          const network = networks[(number + turn) % 2] as SimulatedNetwork;
          const leases = await network.lease(workerOf(number), { count: 4 });
          if (leases.length === 0) return;
          for (const lease of leases) {
            expect(lent).not.toContain(lease.shard.id);
            lent.add(lease.shard.id);
            const other = networks[(number + turn + 1) % 2] as SimulatedNetwork;
            // What one lent, the other knows as soon as it is asked for it.
            expect(await other.coordinator.service.mayRead(workerOf(number), lease.shard.model.digest)).toBe(true);
            expect(await other.submitResult(workerOf(number), lease, 100)).toMatchObject({ type: 'accepted' });
          }
        }
      }),
    );
    await caughtUp();
    for (const job of await first.store.jobs(10)) expect(job.state).toBe('done');
    const paid: string[] = [];
    for (let number = 0; number < 24; number += 1) {
      const chain = await second.store.receiptsAfter(workerOf(number).address, 0, 1000);
      expect(chain.map(({ sequence }) => sequence)).toEqual(chain.map((_, index) => index + 1));
      // What the network has computed to test its workers is paid as well.
      paid.push(...chain.filter(({ jobId }) => jobId === 'one-1' || jobId === 'two-1').map(({ shardId }) => shardId));
    }
    expect(new Set(paid).size).toBe(120);
    expect(paid).toHaveLength(120);
  });

  test('a lease lives on with the other when its coordinator dies, as long as its worker does, and no longer', async () => {
    await first.submit(await first.model(), 1);
    await caughtUp();
    const [lease] = await first.lease(a);
    await caughtUp();
    await first.coordinator.close();
    second.monotonicMs += 50_000;
    expect(await second.coordinator.service.progress(a, keyOf(lease), null)).toBe(true);
    second.monotonicMs += 50_000;
    expect(await second.lease(b)).toEqual([]);
    second.monotonicMs += 10_000;
    expect(await second.lease(b)).toMatchObject([{ shard: lease?.shard, attempt: 2 }]);
    expect(await second.submitResult(a, lease as Lease, 10)).toEqual({ type: 'expired' });
  });

  test('a sign of life with one and the end of the lease with the other, at the same moment: it is one of them for both', async () => {
    const model = await first.model();
    for (let round = 0; round < 5; round += 1) {
      const job = await first.submit(model, 1);
      await caughtUp();
      const [lease] = await first.lease(a);
      await caughtUp();
      second.monotonicMs += 60_000;
      const [lives, again] = await Promise.all([first.coordinator.service.progress(a, keyOf(lease), null), second.lease(b)]);
      await caughtUp();
      const open = (await first.store.openAttempts()).filter(({ shardId }) => shardId === lease?.shard.id);
      expect(open).toHaveLength(1);
      // The answer to a sign of life that came just before the end may be the last one.
      if (!lives) expect(open[0]?.worker).toBe(b.address);
      if (again.length === 0) expect(open[0]?.worker).toBe(a.address);
      await first.coordinator.intake.cancelJob(job);
    }
  });

  test('what one takes in or changes, the other tells its own requesters and machines', async () => {
    expect(await second.lease(b)).toEqual([]);
    const jobs: string[] = [];
    const done = new Promise<void>((resolve) =>
      second.coordinator.intake.onJob((job) => {
        jobs.push(job.state);
        if (job.state === 'done') resolve();
      }),
    );
    await first.submit(await first.model(), 1);
    await expect.poll(() => second.told).toContainEqual({ event: { type: 'work' }, to: b.address });
    const [lease] = await first.lease(a);
    await first.submitResult(a, lease as Lease, 10);
    await done;
    expect(jobs).toContain('running');
  });

  test('a result that one audits by a second machine is held against what that hands in with the other', async () => {
    for (const { address } of [a, b]) {
      for (let number = 0; number < 10; number += 1) {
        const audit = { shardId: `${address}-${number}`, attempt: 1, worker: address, at: first.now, outcome: 'valid' } as const;
        await first.store.recordAudit({ ...audit, means: 'reference', distance: 0, detail: '' });
      }
    }
    first.random = () => 0.5;
    second.random = () => 0.5;
    const job = await first.submit(await first.model(), 1);
    const [lease] = await first.lease(a);
    expect(await first.lease(b)).toEqual([]);
    const reply = first.submitResult(a, lease as Lease, 10);
    await expect.poll(() => second.told).toContainEqual({ event: { type: 'work' }, to: b.address });
    const [twin] = await second.lease(b);
    expect(twin?.shard.jobId).not.toBe(job);
    expect(await second.submitResult(b, twin as Lease, 10)).toMatchObject({ type: 'accepted', audited: true });
    expect(await reply).toMatchObject({ type: 'accepted', audited: true });
    await caughtUp();
    for (const { store } of [first, second])
      expect((await store.audits(a.address, 1))[0]).toMatchObject({ outcome: 'valid', means: 'worker' });
  });
});

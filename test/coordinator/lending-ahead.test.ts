import { expect, test } from 'vitest';
import { createLendingAhead } from '../../coordinator/lending-ahead.ts';
import type { LeaseReply } from '../../core/contract/network.ts';
import type { Lease } from '../../core/contract/shard.ts';
import { ASK, handIn, runRequest, takeLease, Workbench } from './workbench.ts';

/** A network whose worker takes a shard every ms, and `jobs` of them. */
async function busy(jobs: number) {
  const bench = new Workbench();
  const network = await bench.open();
  for (let each = 0; each < jobs; each += 1) await network.submitJob(runRequest(bench.model));
  const work = async () => {
    const lease = await takeLease(network);
    bench.monotonicMs += 1;
    await handIn(network, lease);
    return lease.shard.id;
  };
  const states = async () => (await network.jobs()).map(({ state }) => state);
  return { bench, network, work, states };
}

test('short shards are lent several at once, each once, and those that are not asked for go back', async () => {
  const { bench, network, work, states } = await busy(12);
  const done = [await work(), await work(), await work()];
  expect((await states()).filter((state) => state === 'running').length).toBeGreaterThan(1);
  await network.dropAhead?.('paused');
  expect((await states()).filter((state) => state === 'running')).toEqual([]);
  for (let each = 3; each < 12; each += 1) done.push(await work());
  expect(new Set(done).size).toBe(12);
  expect(await states()).toEqual(Array(12).fill('done'));
  await bench.dispose();
});

test('a lease that was lent ahead and cancelled meanwhile is not handed out', async () => {
  const { bench, network, work } = await busy(6);
  await work();
  await work();
  for (const { id } of await network.jobs()) await network.cancelJob(id);
  expect(await network.lease({ ...ASK, practice: false })).toMatchObject({ type: 'no-work' });
  await bench.dispose();
});

test('a long shard is lent alone', async () => {
  const { bench, network, states } = await busy(4);
  for (let each = 0; each < 3; each += 1) {
    const lease = await takeLease(network);
    expect((await states()).filter((state) => state === 'running')).toHaveLength(1);
    bench.monotonicMs += 60;
    await handIn(network, lease);
  }
  await bench.dispose();
});

test('what has lain here for a third of its lease goes back, and another is asked for', async () => {
  const { bench, network } = await busy(3);
  const taken: Lease[] = [];
  for (let each = 0; each < 3; each += 1) {
    bench.monotonicMs += 1000;
    taken.push(await takeLease(network));
  }
  const [first, second, third] = taken as [Lease, Lease, Lease];
  const replies: LeaseReply[] = [
    { type: 'lease', lease: first, further: [second] },
    { type: 'lease', lease: third },
  ];
  const released: string[] = [];
  const lending = createLendingAhead({
    lease: async () => replies.shift() as LeaseReply,
    async release({ shardId }) {
      released.push(shardId);
    },
    monotonic: () => bench.monotonicMs,
  });
  expect(await lending.lease(ASK)).toEqual({ type: 'lease', lease: first });
  bench.monotonicMs += first.leaseMs / 3 + 1;
  expect(await lending.lease(ASK)).toEqual({ type: 'lease', lease: third });
  expect(released).toEqual([second.shard.id]);
  await bench.dispose();
});

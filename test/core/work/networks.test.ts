import { afterEach, describe, expect, it, vi } from 'vitest';
import { HearthlendError } from '../../../core/contract/errors.ts';
import { ref } from '../../../core/contract/messages.ts';
import { createWorkLoop } from '../../../core/work/loop.ts';
import type { ConnectedNetwork, WorkPorts } from '../../../core/work/ports.ts';
import { FakeNetwork } from '../../fakes/network.ts';
import { type Bench, openBench } from './workbench.ts';

afterEach(() => {
  vi.useRealTimers();
});

const turns = async (is: () => boolean) => {
  while (!is()) await new Promise((resolve) => setImmediate(resolve));
};

/** The bench's network `test`, and one more. */
async function two(bench: Bench, shards: number): Promise<{ other: FakeNetwork; from: ConnectedNetwork; ports: WorkPorts }> {
  const other = new FakeNetwork(shards, 'other');
  const { address } = bench;
  const info = await other.connect({ address, payee: address });
  const from = { network: other, info, admitted: () => true };
  return { other, from, ports: { ...bench.ports, networks: [bench.from, from] } };
}

describe('several networks', () => {
  it('are asked in the order that is decided, and the reason of each lease is told', async () => {
    const bench = await openBench(3);
    const { other, from, ports } = await two(bench, 3);
    const reason = ref('network.took.unknown');
    const loop = createWorkLoop({
      ...ports,
      order: (practice) => [
        { from, practice: false, took: reason },
        { from: bench.from, practice },
      ],
    });
    await loop.run({ shards: 6, practice: true });
    expect(bench.changes.flatMap((change) => (change.type === 'took' ? [[change.shard.network, change.reason]] : []))).toEqual(
      Array.from({ length: 3 }, () => ['other', reason]),
    );
    expect([other.receipts.length, bench.network.receipts.length]).toEqual([3, 3]);
    expect(bench.ledger.networkTotals('other')).toEqual({ expected: '0', accepted: '9', promised: '0', paid: '0', acceptedShards: 3 });
  });

  it('of which one lends an attempt twice: that one gets no more work done, and the other goes on', async () => {
    const bench = await openBench(4);
    const { other, ports } = await two(bench, 1);
    const lease = other.lease.bind(other);
    let first: Awaited<ReturnType<typeof lease>> | undefined;
    other.lease = async () => {
      first ??= await lease();
      return first;
    };
    await createWorkLoop({ ...ports, networks: ports.networks.toReversed() }).run({ shards: 4, practice: true });
    expect(bench.network.receipts).toHaveLength(4);
    expect(bench.changes).toContainEqual(
      expect.objectContaining({
        type: 'fault',
        network: 'other',
        reason: ref('reason.network-suspended', { network: 'other', code: 'LEASE_DOUBLED' }),
      }),
    );
    expect((await bench.ledger.verify()).ok).toBe(true);
  });

  it('of which one answers nonsense or gives wrong receipts: the other goes on', async () => {
    for (const lie of ['garbage', 'receipt']) {
      const bench = await openBench(4);
      const { other, ports } = await two(bench, 9);
      if (lie === 'receipt') other.tamper = (receipt) => ({ ...receipt, amount: '1' });
      else other.submit = () => Promise.reject(new HearthlendError('NETWORK_ANSWER_INVALID', { network: 'other', detail: '?' }));
      await createWorkLoop(ports).run({ shards: 4, practice: true });
      expect(bench.network.receipts, lie).toHaveLength(4);
      expect(bench.ledger.networkTotals('other').acceptedShards).toBe(0);
    }
  });

  it('of which one is away: its results are kept and handed in when it is there again, and the other goes on meanwhile', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const bench = await openBench(20);
    const { other, ports } = await two(bench, 2);
    let away = false;
    const unreachable = () => Promise.reject(new HearthlendError('NETWORK_UNREACHABLE', { network: 'other', detail: 'gone' }));
    const calls = other as unknown as Record<string, (...given: unknown[]) => Promise<unknown>>;
    for (const call of ['lease', 'submit', 'receiptsSince', 'pendingBatches', 'release', 'progress']) {
      const right = calls[call]?.bind(other);
      calls[call] = async (...given) => (away ? unreachable() : right?.(...given));
    }
    const compute: WorkPorts['compute'] = async (task, hooks) => {
      // It goes while its first shard runs.
      if (task.shard.network === 'other' && task.shard.id === 's1') away = true;
      return bench.ports.compute(task, hooks);
    };
    const [own, from] = ports.networks as [ConnectedNetwork, ConnectedNetwork];
    const loop = createWorkLoop({ ...ports, compute, order: (practice) => [from, own].map((each) => ({ from: each, practice })) });
    const running = loop.run({ shards: null, practice: true });
    await turns(() => bench.network.receipts.length === 20);
    expect(bench.ledger.attempt('other', 's1', 1)?.state).toBe('submitted');
    expect(bench.ledger.networkTotals('other')).toMatchObject({ expected: '3', accepted: '0' });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(other.receipts).toHaveLength(0);
    away = false;
    other.emit({ type: 'work' });
    await turns(() => bench.ledger.networkTotals('other').acceptedShards === 2);
    expect(other.receipts.map(({ shardId }) => shardId).sort()).toEqual(['s1', 's2']);
    loop.stop(false);
    await running;
    expect(bench.ledger.unfinished()).toEqual([]);
    expect((await bench.ledger.verify()).ok).toBe(true);
  });

  it('may answer what was handed in long ago after what came later: receipts are recorded in their order', async () => {
    const bench = await openBench(3);
    const { network, loop, ledger } = bench;
    const submit = network.submit.bind(network);
    // The first is in dispute until the second is accepted; its receipt comes without being asked for.
    let disputed: Parameters<typeof submit>[0] | undefined;
    network.submit = async (submission) => {
      if (disputed === undefined) {
        disputed = submission;
        return { type: 'disputed' };
      }
      if (network.receipts.length === 0) network.issue(disputed);
      return submit(submission);
    };
    await loop.run({ shards: 3, practice: true });
    expect(ledger.receiptsOf('test', 1, 9).map(({ shardId }) => shardId)).toEqual(['s1', 's2', 's3']);
    expect((await ledger.verify()).problems).toEqual([]);
  });

  it('may come and go while the loop runs; what was lent ahead goes back when work stops', async () => {
    const bench = await openBench(2);
    const { other, from } = await two(bench, 2);
    const dropped: string[] = [];
    Object.assign(other, { dropAhead: async (reason: string) => void dropped.push(reason) });
    const networks = [bench.from];
    const loop = createWorkLoop({ ...bench.ports, networks });
    const running = loop.run({ shards: null, practice: true });
    await turns(() => bench.network.receipts.length === 2);
    networks.push(from);
    loop.add(from);
    await turns(() => bench.ledger.networkTotals('other').acceptedShards === 2);
    loop.pause();
    await turns(() => dropped.includes('paused'));
    loop.resume();
    networks.pop();
    await loop.remove(from);
    other.shardsLeft = 5;
    other.emit({ type: 'work' });
    bench.network.shardsLeft = 1;
    bench.network.emit({ type: 'work' });
    await turns(() => bench.network.receipts.length === 3);
    expect(other.receipts).toHaveLength(2);
    loop.stop(false);
    await running;
  });
});

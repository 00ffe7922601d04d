import { expect, onTestFinished, test, vi } from 'vitest';
import type { Lease } from '../../core/contract/shard.ts';
import { COMPUTED, openBench } from './work/workbench.ts';

test('steps before a result wait a moment for what is written anyway, then are written by themselves', async () => {
  const { network, ledger, journal } = await openBench(2);
  const [first, second] = [await network.lease(), await network.lease()].map((reply) => (reply as { lease: Lease }).lease) as [
    Lease,
    Lease,
  ];
  const stateOf = ({ shard, attempt }: Lease) => ledger.attempt('test', shard.id, attempt)?.state ?? null;
  const keyOf = ({ shard, attempt }: Lease) => ({ network: 'test', shardId: shard.id, attempt });
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());

  journal.leased(first);
  journal.fetched(keyOf(first));
  expect(stateOf(first)).toBeNull();
  vi.runAllTimers();
  expect(stateOf(first)).toBe('fetched');

  journal.running(keyOf(first));
  journal.leased(second);
  journal.handingIn([{ key: keyOf(first), result: { ...COMPUTED, outputBytes: COMPUTED.outputs.byteLength, units: 1 } }]);
  expect([first, second].map(stateOf)).toEqual(['submitted', 'leased']);
  await journal.durable();
});

import { expect, test } from 'vitest';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { ShardEnergy } from '../../core/contract/telemetry.ts';
import { createMeasuredRuns } from '../../core/measured-runs.ts';
import { accepted, DAY_MS, leased, NETWORK, openScene, receiptFor, step, submittedShard } from './ledger/scene.ts';

const energy = (number: number, joules: number): ShardEnergy => {
  return { network: NETWORK, shardId: `s${number}`, attempt: 1, at: DAY_MS + 20_000, joules, estimated: false };
};

test('energy waits until its run is on record as computed, is recorded once and with others, and never keeps work from going on', () => {
  const { ledger } = openScene();
  const logged: string[] = [];
  let now = DAY_MS + 20_000;
  const runs = createMeasuredRuns(ledger, { clock: () => now, log: (_, what) => logged.push(what) });
  const millijoules = (number: number) => ledger.attempt(NETWORK, `s${number}`, 1)?.millijoules;

  ledger.record(submittedShard(1, DAY_MS));
  ledger.record([leased(2, DAY_MS), step('shard.fetched', 2, DAY_MS), step('shard.running', 2, DAY_MS)]);
  runs.tell([energy(1, 1.5), energy(2, 2), energy(3, 3)]);
  expect([millijoules(1), millijoules(2), millijoules(3)]).toEqual([1500, null, undefined]);
  // What was accepted in the meantime is as good.
  ledger.record([accepted(receiptFor(ledger, 1), DAY_MS + 21_000)]);
  ledger.record(submittedShard(3, DAY_MS + 21_000));
  runs.tell([energy(1, 1.5)]);
  expect([millijoules(1), millijoules(2), millijoules(3)]).toEqual([1500, null, 3000]);
  // It never ended: nothing more is waited for.
  now += 700_000;
  runs.tell([]);
  ledger.record([{ kind: 'shard.released', at: now, network: NETWORK, shardId: 's2', attempt: 1, reason: 'crashed' }]);
  runs.tell([]);
  expect(millijoules(2)).toBeNull();
  expect(ledger.recent(5).map(({ shardId }) => shardId)).toEqual(['s2', 's3', 's1']);

  expect(logged).toEqual([]);
  ledger.record(submittedShard(4, now));
  const full = () => {
    throw new HearthlendError('DISK_FULL', { path: '' });
  };
  const failing = createMeasuredRuns(
    { attempt: (...key) => ledger.attempt(...key), recordSoon: full },
    { clock: () => now, log: (_, what) => logged.push(what) },
  );
  failing.tell([energy(4, 1)]);
  expect(logged).toEqual(['energy could not be recorded']);
  ledger.close();
});

test('what computed a run is told once, and of many the latest', () => {
  const { ledger } = openScene();
  const runs = createMeasuredRuns(ledger, { clock: () => 0, log: () => undefined });
  const key = { network: NETWORK, shardId: 's1', attempt: 1 };
  expect(runs.device(key)).toBeUndefined();
  runs.computed(key, 'cpu');
  expect([runs.device(key), runs.device(key)]).toEqual(['cpu', undefined]);
  runs.computed(key, 'cpu');
  for (let number = 0; number < 1024; number += 1) runs.computed({ network: NETWORK, shardId: `t${number}` }, 'cpu');
  expect(runs.device(key)).toBeUndefined();
  expect(runs.device({ ...key, shardId: 't1023' })).toBe('cpu');
  ledger.close();
});

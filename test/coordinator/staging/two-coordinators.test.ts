import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openBlobs } from '../../../coordinator/blobs.ts';
import { createCoordinator } from '../../../coordinator/core.ts';
import { openSqliteStore } from '../../../coordinator/sqlite/store.ts';
import { practiceModel } from '../../core/supervisor/workbench.ts';
import { ASK, coordinatorKey, Workbench } from '../workbench.ts';
import { prepare } from './prepared.ts';

test('of several coordinators one drives a generation; another takes it over, from its beginning, once that one is not heard of any more', async () => {
  const { request } = await prepare(practiceModel, join(dirname(practiceModel), '..'), 2, [5, 6, 7], 4);
  const bench = new Workbench();
  onTestFinished(() => bench.dispose());
  const folder = join(bench.root, 'shared');
  mkdirSync(folder);
  const blobs = openBlobs(join(folder, 'blobs'));
  const { store } = openSqliteStore(join(folder, 'coordinator.db'), 'studio');
  const { practice: _none, quota: _too, ...options } = { ...bench.options, networkId: 'studio' };
  const terms = {
    ...{
      id: 'studio',
      operator: 'A studio',
      contact: '',
      rules: '',
      coordinator: coordinatorKey.address,
      asset: 'hearth:studio/credit:practice',
    },
    ...{
      symbol: 'practice',
      decimals: 0,
      prices: [{ unit: 'token' as const, perUnit: '1', note: '' }],
      categories: [],
      isolation: ['os' as const],
    },
    ...{ holdBackMs: 0, settlement: null },
  };
  const open = () => createCoordinator({ ...options, terms, store, blobs });
  const [first, second] = [open(), open()];
  onTestFinished(async () => {
    await Promise.all([first.close(), second.close()]);
    await store.close();
  });
  await first.intake.submitJob(request);
  const worker = { address: `0x${'1'.repeat(40)}`, payee: `0x${'1'.repeat(40)}` };
  const reply = await second.service.lease(worker, { ...ASK, practice: false, stages: 1 });
  if (reply.type !== 'lease') throw new Error('nothing was lent');
  const key = { shardId: reply.lease.shard.id, attempt: reply.lease.attempt };
  expect(await first.service.exchange(worker, key, 0, null)).toMatchObject({ type: 'step', tokens: 3 });
  await expect(second.service.exchange(worker, key, 0, null)).rejects.toMatchObject({ code: 'NETWORK_BUSY' });
  bench.pass(21_000);
  expect(await second.service.exchange(worker, key, 0, null)).toMatchObject({ type: 'step', tokens: 3 });
  // It was away for so long that it can't go by what it remembers.
  await expect(first.service.exchange(worker, key, 0, null)).rejects.toMatchObject({ code: 'NETWORK_BUSY' });
});

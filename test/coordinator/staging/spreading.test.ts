import { mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { openBlobs } from '../../../coordinator/blobs.ts';
import { createCoordinator } from '../../../coordinator/core.ts';
import { forOneWorker } from '../../../coordinator/embedded.ts';
import { openSqliteStore } from '../../../coordinator/sqlite/store.ts';
import { devicesFor, haveRoom, stageBytes } from '../../../coordinator/staging/spread.ts';
import { CPU } from '../../../core/contract/backends.ts';
import type { JobRequest, ReferenceWorker } from '../../../core/contract/jobs.ts';
import { encodeSafetensors } from '../../../core/contract/safetensors.ts';
import { readDecoder } from '../../../core/models/decoder.ts';
import { describeModel } from '../../../core/models/describe.ts';
import { modelDigest } from '../../../core/models/digest.ts';
import { createVet } from '../../../core/models/vetting/vet.ts';
import { openSplits } from '../../../core/splits.ts';
import { openSplitting } from '../../../core/splitting.ts';
import { nativeWorkers } from '../../../core/supervisor/native-process.ts';
import { generateTask, practiceModel, sandboxed, supervise, temporaryFolder, tokensOf } from '../../core/supervisor/workbench.ts';
import { ASK, coordinatorKey, int64, Workbench, workerKey } from '../workbench.ts';
import { playStages } from './stage-machine.ts';

const TERMS = {
  ...{ id: 'studio', operator: 'A studio', contact: '', rules: '', coordinator: coordinatorKey.address },
  ...{ asset: 'hearth:studio/credit:practice', symbol: 'practice', decimals: 0, categories: [], isolation: ['os' as const] },
  ...{ prices: [{ unit: 'token' as const, perUnit: '1', note: '' }], holdBackMs: 0, settlement: null },
};

test('a model that fits no machine whole is cut for those there are, once; one that fits is not; where neither does, it is said what is needed', async () => {
  const supervisor = supervise();
  const described = await describeModel(practiceModel);
  const { decoder, stopTokens } = await readDecoder(join(dirname(practiceModel), '..'));
  const bytes = described.manifest.files.reduce((sum, file) => sum + file.bytes, 0);
  const bench = new Workbench();
  onTestFinished(() => bench.dispose());
  const folder = join(bench.root, 'studio');
  mkdirSync(folder);
  const blobs = openBlobs(join(folder, 'blobs'));
  const { store } = openSqliteStore(join(folder, 'coordinator.db'), 'studio');
  const { practice: _none, quota: _too, ...options } = { ...bench.options, networkId: 'studio' };
  const reference: ReferenceWorker = {
    async compute({ model, shard, inputs, forced }) {
      const task = { shard, model: { digest: model.digest, ...model.local }, inputs, threads: 1, provider: CPU };
      return (await supervisor.run(forced === undefined ? task : { ...task, forced })).outputs;
    },
  };
  const { splitter } = openSplitting({
    splits: openSplits(join(folder, 'splits'), () => 2 ** 30),
    reference,
    modelMemoryBytes: () => 2 ** 30,
  });
  const core = createCoordinator({
    ...options,
    reference,
    clock: Date.now,
    monotonic: () => performance.now(),
    terms: TERMS,
    store,
    blobs,
    splitter,
  });
  onTestFinished(async () => {
    await core.close();
    await store.close();
  });
  const machines = [workerKey.address, `0x${'2'.repeat(40)}`].map((address) => {
    const network = forOneWorker(core, { id: 'studio', blobs, closeStore: async () => undefined, monotonic: () => performance.now() });
    return {
      address,
      network,
      has: (memoryBytes: number) => core.service.lease({ address, payee: address }, { ...ASK, stages: 1, memoryBytes }),
    };
  });
  for (const { address, network } of machines) await network.connect({ address, payee: address });
  const prompt = [0, ...Buffer.from('light (noun): a')].map((byte) => byte % 250);
  const request: JobRequest = {
    ...{ kind: 'onnx.generate', model: described, decoder, stopTokens, maxNewTokens: 12, sampling: { method: 'greedy' } },
    inputs: encodeSafetensors(new Map([['input_ids', int64(prompt, [1, prompt.length])]])),
    limits: { wallMs: 60_000, memoryBytes: 2 ** 31, outputBytes: 2 ** 26 },
    session: { intraOpThreads: 1, graphOptimization: 'all' },
  };

  for (const { has } of machines) await has(Math.floor(bytes / 20));
  await expect(core.intake.submitJob(request)).rejects.toMatchObject({
    code: 'MODEL_NOWHERE',
    params: { machines: 2, needed: bytes / 1e9, largest: Math.floor(bytes / 20) / 1e9 },
  });
  for (const { has } of machines) await has(Math.floor(0.7 * bytes));
  await expect(core.intake.submitJob(request, { maxCost: '12' })).rejects.toMatchObject({
    code: 'COST_IN_STAGES',
    params: { stages: 2, limit: '12', symbol: 'practice' },
  });
  const job = await core.intake.submitJob(request, { id: 'same' });
  expect(job).toMatchObject({ shards: 2, state: 'queued' });
  const worker = {
    workDir: temporaryFolder(),
    start: nativeWorkers(sandboxed),
    modelMemoryBytes: 2 ** 30,
    vet: createVet(),
    clock: Date.now,
  };
  const until = async () => (await core.intake.job(job.id))?.state === 'done';
  const leases = await Promise.all(machines.map(({ network }) => playStages(network, { worker, room: 1, until })));
  expect(leases.map(({ length }) => length)).toEqual([1, 1]);
  const whole = generateTask({ digest: modelDigest(described.manifest), ...described }, prompt, { decoder, stopTokens, maxNewTokens: 12 });
  expect(tokensOf(await core.intake.outputs(job.id))).toEqual(tokensOf((await supervisor.run(whole)).outputs));

  // The same asked for once more is the same job; another one finds the stages cut.
  expect(await core.intake.submitJob(request, { id: 'same' })).toMatchObject({ id: job.id, state: 'done' });
  const cut = join(folder, 'splits', `${modelDigest(described.manifest).slice(0, 32)}-2`, 'stage-1.onnx');
  const { mtimeMs } = statSync(cut);
  for (const { has } of machines) await has(Math.floor(0.7 * bytes));
  expect(await core.intake.submitJob({ ...request, maxNewTokens: 11 })).toMatchObject({ shards: 2 });
  expect(statSync(cut).mtimeMs).toBe(mtimeMs);
  await machines[0]?.has(bytes);
  expect(await core.intake.submitJob({ ...request, maxNewTokens: 10 })).toMatchObject({ shards: 1 });
});

test('stages find room exactly where each can be put on some device', () => {
  const size = fc.integer({ min: 1, max: 9 });
  fc.assert(
    fc.property(fc.array(size, { maxLength: 4 }), fc.array(size, { maxLength: 5 }), (devices, sizes) => {
      const fits = (left: readonly number[], rest: readonly number[]): boolean => {
        const [first, ...others] = rest;
        if (first === undefined) return true;
        return left.some((free, at) => free >= first && fits(left.with(at, free - first), others));
      };
      // It may miss a way of packing, and never says yes where there is none.
      if (haveRoom(devices, sizes)) expect(fits(devices, sizes)).toBe(true);
      if (sizes.every((each) => devices.filter((free) => free >= each).length >= sizes.length)) expect(haveRoom(devices, sizes)).toBe(true);
    }),
  );
});

test('a machine counts with what computes there, and not for what its user refuses; a decoder’s cache takes room, too', () => {
  const gpu = { name: 'cuda' as const, device: 'a card', memoryBytes: 24 };
  const machines = [
    { memoryBytes: 8, backends: [gpu, gpu] },
    { memoryBytes: 4, refusedCategories: ['images'] },
  ];
  expect(devicesFor(machines, {})).toEqual([24, 24, 4]);
  expect(devicesFor(machines, { category: 'images' })).toEqual([24, 24]);
  expect(devicesFor(machines, { backends: ['cpu'] })).toEqual([4]);
  const decoder = { layers: 4, keyValueHeads: 2, headSize: 8, maxPositions: 100 };
  expect(stageBytes({ weightBytes: 1000, layers: 2 }, decoder, 50)).toBe(1000 + 2 * 2 * 2 * 8 * 4 * 50);
  expect(stageBytes({ weightBytes: 1000, layers: 2 }, decoder, 500)).toBe(1000 + 2 * 2 * 2 * 8 * 4 * 100);
  expect(stageBytes({ weightBytes: 1000, layers: 0 }, null, 50)).toBe(1000);
});

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { openBlobs } from '../../../coordinator/blobs.ts';
import { createCoordinator } from '../../../coordinator/core.ts';
import { openSqliteStore } from '../../../coordinator/sqlite/store.ts';
import { watchPlaces } from '../../../coordinator/staging/places.ts';
import type { Store } from '../../../coordinator/store.ts';
import { canonicalJson } from '../../../core/contract/digest.ts';
import type { JobRequest } from '../../../core/contract/jobs.ts';
import { encodeSafetensors } from '../../../core/contract/safetensors.ts';
import { ASK, coordinatorKey, digestOf, int64, Workbench } from '../workbench.ts';

const decoder = { layers: 2, keyValueHeads: 1, headSize: 2, maxPositions: 16 };
const hidden = { name: 'hidden', type: 'float32' as const, shape: [1, 'tokens', 4] };

/** A generation over two stages that nobody computes here. */
function inTwoStages(bench: Workbench, prompt: number[]): JobRequest {
  const stages = [0, 1].map((index) => {
    const { manifest } = bench.writeModel(`stage-${index}.onnx`, `stage ${index}`);
    return { manifest, digest: digestOf(new TextEncoder().encode(canonicalJson(manifest))), layers: [index], weightBytes: 1 };
  });
  const files = new Map([['model.onnx', bench.writeModel('stage-0.onnx', 'stage 0').files.get('model.onnx') as string]]);
  const [first, second] = stages as [(typeof stages)[number], (typeof stages)[number]];
  const ids = { name: 'input_ids', type: 'int64' as const, shape: ['batch', 'tokens'], from: 'job' as const };
  const logits = { name: 'logits', type: 'float32' as const, shape: ['batch', 'tokens', 8], to: 'job' as const };
  return {
    ...{ kind: 'onnx.generate', model: bench.model, decoder, stopTokens: [0], maxNewTokens: 4, sampling: { method: 'greedy' } },
    inputs: encodeSafetensors(new Map([['input_ids', int64(prompt, [1, prompt.length])]])),
    limits: { wallMs: 60_000, memoryBytes: 2 ** 30, outputBytes: 2 ** 26 },
    session: { intraOpThreads: 1, graphOptimization: 'all' },
    split: {
      files,
      manifest: {
        ...{ format: 'hearthlend-split', version: 1, model: digestOf(new Uint8Array()), decoder, stopTokens: [0] },
        stages: [
          { ...first, inputs: [ids], outputs: [{ ...hidden, to: 'stage' }] },
          { ...first, layers: second.layers, inputs: [{ ...hidden, from: 0 }], outputs: [logits] },
        ],
        check: { against: 'whole', runs: 1, distance: 0 },
      },
    },
  };
}

test('of generations that wait for places one gets all of its stages before the next begins, whoever asks for work', async () => {
  const bench = new Workbench();
  onTestFinished(() => bench.dispose());
  const folder = join(bench.root, 'studio');
  mkdirSync(folder);
  const blobs = openBlobs(join(folder, 'blobs'));
  const { store } = openSqliteStore(join(folder, 'coordinator.db'), 'studio');
  const { practice: _none, quota: _too, ...options } = { ...bench.options, networkId: 'studio' };
  const terms = {
    ...{ id: 'studio', operator: 'A studio', contact: '', rules: '', coordinator: coordinatorKey.address },
    ...{ asset: 'hearth:studio/credit:practice', symbol: 'practice', decimals: 0, categories: [], isolation: ['os' as const] },
    ...{ prices: [{ unit: 'token' as const, perUnit: '1', note: '' }], holdBackMs: 0, settlement: null },
  };
  const core = createCoordinator({ ...options, terms, store, blobs });
  onTestFinished(async () => {
    await core.close();
    await store.close();
  });
  for (const prompt of [[1], [2], [3]]) await core.intake.submitJob(inTwoStages(bench, prompt));
  const lent: string[] = [];
  for (let machine = 1; machine <= 6; machine += 1) {
    const address = `0x${String(machine).repeat(40)}`;
    const reply = await core.service.lease({ address, payee: address }, { ...ASK, practice: false, stages: 1, stageBytes: 2 ** 20 });
    if (reply.type === 'lease') lent.push(reply.lease.shard.jobId);
  }
  expect(lent).toHaveLength(6);
  expect([lent[0], lent[2], lent[4]]).toEqual([lent[1], lent[3], lent[5]]);
  const address = `0x${'7'.repeat(40)}`;
  await core.intake.submitJob(inTwoStages(bench, [4]));
  const small = { ...ASK, practice: false, stages: 1, stageBytes: 1 };
  expect(await core.service.lease({ address, payee: address }, small)).toMatchObject({
    type: 'no-work',
    reason: { key: 'no-work.memory' },
  });
});

test('a generation that waits half begun for a minute gives its places back, where another waits that has none', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
  let now = 0;
  let waiting = [{ jobId: 'half', begun: true }];
  const released: string[] = [];
  const attempt = { shardId: 'half.1', attempt: 3, worker: '0x1', payee: '0x1' };
  const store = {
    stagedWaiting: async () => waiting,
    shardsOf: async () => [
      { shard: { id: 'half.1' }, state: 'leased', attempt: 3 },
      { shard: { id: 'half.2' }, state: 'queued', attempt: 0 },
    ],
    attempt: async () => attempt,
  } as unknown as Store;
  const stop = watchPlaces({ store, monotonic: () => now, log: () => undefined }, async ({ shardId }) => void released.push(shardId));
  const pass = async (ms: number) => {
    for (const until = now + ms; now < until; ) {
      now += 5000;
      await vi.advanceTimersByTimeAsync(5000);
    }
  };
  await pass(120_000);
  expect(released).toEqual([]);
  waiting = [...waiting, { jobId: 'other', begun: false }];
  await pass(5000);
  expect(released).toEqual(['half.1']);
  stop();
  await pass(120_000);
  expect(released).toEqual(['half.1']);
});

import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { EmbeddedCoordinator } from '../../../core/contract/jobs.ts';
import { encodeSafetensors } from '../../../core/contract/safetensors.ts';
import type { Sampling } from '../../../core/contract/sampler.ts';
import type { Lease } from '../../../core/contract/shard.ts';
import { createVet } from '../../../core/models/vetting/vet.ts';
import { nativeWorkers } from '../../../core/supervisor/native-process.ts';
import { practiceModel, sandboxed, temporaryFolder, tokensOf } from '../../core/supervisor/workbench.ts';
import { SMALL } from '../../fixtures/decoder/decoder-shape.ts';
import { makeDecoder } from '../../fixtures/decoder/make-decoder.ts';
import { ASK, digestOf, float32, Workbench } from '../workbench.ts';
import { prepare } from './prepared.ts';
import { playStages } from './stage-machine.ts';

/** A machine with a sandboxed worker for each stage. */
function play(coordinator: EmbeddedCoordinator, onStep?: Parameters<typeof playStages>[1]['onStep']): Promise<Lease[]> {
  const worker = {
    workDir: temporaryFolder(),
    start: nativeWorkers(sandboxed),
    modelMemoryBytes: 2 ** 30,
    vet: createVet(),
    clock: Date.now,
  };
  return playStages(coordinator, { worker, ...(onStep === undefined ? {} : { onStep }) });
}

function opened(): Promise<EmbeddedCoordinator> {
  const bench = new Workbench();
  onTestFinished(() => bench.dispose());
  return bench.open({ clock: Date.now, monotonic: () => performance.now() });
}

const prompt = [0, ...Buffer.from('light (noun): a')].map((byte) => byte % 250);

const practiceFolder = join(dirname(practiceModel), '..');

test.each([1, 2, 3])('the practice model in %i stages makes the tokens of the whole', async (stages) => {
  const { request, expected } = await prepare(practiceModel, practiceFolder, stages, prompt, 40);
  const coordinator = await opened();
  const { id } = await coordinator.submitJob(request);
  const leases = await play(coordinator);
  expect(leases).toHaveLength(stages);
  expect(await coordinator.job(id)).toMatchObject({ state: 'done', shards: stages, accepted: stages });
  expect(tokensOf(await coordinator.outputs(id))).toEqual(expected);
  // Every token but the last went through every stage, and is paid for there.
  const receipts = await coordinator.receiptsSince(0);
  expect(receipts.map(({ units }) => units)).toEqual(Array.from({ length: stages }, () => prompt.length + expected.length - 1));
});

test.each(['the first', 'the last'])(
  'when %s stage loses its worker in the middle, another goes on with the same tokens',
  async (which) => {
    const { request, expected } = await prepare(practiceModel, practiceFolder, 2, prompt, 40);
    const coordinator = await opened();
    const { id } = await coordinator.submitJob(request);
    const wanted = which === 'the first' ? 0 : 1;
    const steps: Record<string, number> = {};
    const leases = await play(coordinator, ({ shard, attempt }, step, kill) => {
      const index = shard.kind === 'onnx.generate' ? (shard.stage?.index ?? 0) : 0;
      steps[`${index}#${attempt}`] = step;
      if (index === wanted && attempt === 1 && step === 12) kill();
    });
    expect(leases.map(({ attempt }) => attempt).sort()).toEqual([1, 1, 2]);
    expect(tokensOf(await coordinator.outputs(id))).toEqual(expected);
    // One pass over all that was before, and then a step for each token: the other stage computed nothing again.
    // How many its worker still handed in when it was killed is chance.
    expect(steps[`${wanted}#2`]).toBeLessThanOrEqual(expected.length - 10);
    expect(steps[`${1 - wanted}#1`]).toBe(expected.length);
  },
);

test('a 4-bit decoder in three stages makes the tokens of the whole, drawn by chance too', async () => {
  const folder = temporaryFolder();
  makeDecoder(folder, { ...SMALL, rotary: 'by-cache' });
  const sampling: Sampling = { method: 'sample', seed: '00000000075bcd15', temperature: 0.9, topK: 0, topP: 1 };
  const long = Array.from({ length: 200 }, (_, at) => 1 + ((at * 7) % 250));
  const { request, expected } = await prepare(join(folder, 'onnx/model.onnx'), folder, 3, long, 30, sampling);
  const coordinator = await opened();
  const { id } = await coordinator.submitJob(request);
  await play(coordinator);
  expect(tokensOf(await coordinator.outputs(id))).toEqual(expected);
});

test('a generation that its coordinator forgot begins anew, and its stages are lent again', async () => {
  const { request, expected } = await prepare(practiceModel, practiceFolder, 2, prompt, 12);
  const bench = new Workbench();
  onTestFinished(() => bench.dispose());
  const clocks = { clock: Date.now, monotonic: () => performance.now() };
  const before = await bench.open(clocks);
  const { id } = await before.submitJob(request);
  const reply = await before.lease({ ...ASK, practice: false, stages: 8 });
  if (reply.type !== 'lease') throw new Error('nothing was lent');
  const { shard, attempt } = reply.lease;
  expect(await before.exchange?.(shard.id, attempt, 0, null)).toMatchObject({ type: 'step', tokens: prompt.length });
  bench.crash();
  const after = await bench.open(clocks);
  // It has computed what nobody here knows of.
  await expect(after.exchange?.(shard.id, attempt, 1, null)).rejects.toMatchObject({ code: 'LEASE_EXPIRED' });
  await after.release(shard.id, attempt, 'crashed', null);
  await play(after);
  expect(tokensOf(await after.outputs(id))).toEqual(expected);
});

test('a step that is not what the stage gives, of somebody else, or of no lease, is refused by name and changes nothing', async () => {
  const { request } = await prepare(practiceModel, practiceFolder, 2, prompt, 12);
  const coordinator = await opened();
  await coordinator.submitJob(request);
  const reply = await coordinator.lease({ ...ASK, practice: false, stages: 1 });
  if (reply.type !== 'lease') throw new Error('nothing was lent');
  const { shard, attempt } = reply.lease;
  const exchange = (step: number, outputs: Uint8Array | null, key = { id: shard.id, attempt }) =>
    coordinator.exchange?.(key.id, key.attempt, step, outputs) ?? Promise.reject(new Error('it takes no steps'));
  const first = await exchange(0, null);
  expect(first).toMatchObject({ type: 'step', tokens: prompt.length });
  const name =
    request.kind === 'onnx.generate' ? (request.split?.manifest.stages[0]?.outputs.find(({ to }) => to === 'stage')?.name ?? '') : '';
  const hidden = (tokens: number) => encodeSafetensors(new Map([[name, float32(new Array(tokens * 192).fill(0), [1, tokens, 192])]]));
  await expect(exchange(1, Uint8Array.of(1, 2, 3))).rejects.toMatchObject({ code: 'RESULT_MALFORMED' });
  await expect(exchange(1, encodeSafetensors(new Map()))).rejects.toMatchObject({ code: 'RESULT_MALFORMED' });
  await expect(exchange(1, hidden(3))).rejects.toMatchObject({
    code: 'RESULT_MALFORMED',
    params: { detail: expect.stringContaining('16 tokens after 0') },
  });
  await expect(exchange(2, hidden(prompt.length))).rejects.toMatchObject({ code: 'LEASE_EXPIRED' });
  await expect(exchange(0, null, { id: shard.id, attempt: 2 })).rejects.toMatchObject({ code: 'LEASE_UNKNOWN' });
  await expect(exchange(0, null, { id: 'nobody', attempt: 1 })).rejects.toMatchObject({ code: 'LEASE_UNKNOWN' });
  // What was handed out is handed out again until it is answered.
  expect(await exchange(0, null)).toEqual(first);
  const outputs = encodeSafetensors(new Map([['steps', { type: 'uint8' as const, shape: [0, 32], data: new Uint8Array() }]]));
  const commitment = digestOf(outputs);
  expect(
    await coordinator.submit({ shardId: shard.id, attempt, commitment, outputBytes: outputs.byteLength, units: 5, runMs: 1 }, outputs),
  ).toMatchObject({ type: 'rejected', code: 'RESULT_MALFORMED' });
});

test('a machine without room for a stage is lent none, and told why', async () => {
  const { request } = await prepare(practiceModel, practiceFolder, 2, prompt, 12);
  const coordinator = await opened();
  await coordinator.submitJob(request);
  expect(await coordinator.lease({ ...ASK, practice: false })).toMatchObject({ type: 'no-work', reason: { key: 'no-work.stages' } });
});

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { DescribedModel, ModelValue } from '../../../core/contract/jobs.ts';
import { decodeSafetensors } from '../../../core/contract/safetensors.ts';
import { Limits, SessionOptions } from '../../../core/contract/shard.ts';
import { TENSOR_TYPES, type Tensors, type TensorType } from '../../../core/contract/tensor.ts';
import { writeNpz } from '../../../core/jobs/npz.ts';
import { type JobPlan, prepareJob } from '../../../core/jobs/prepare.ts';

const model: DescribedModel = {
  manifest: { format: 'onnx', entry: 'm.onnx', files: [{ path: 'm.onnx', bytes: 1, digest: 'a'.repeat(64) }] },
  files: new Map([['m.onnx', '/models/m.onnx']]),
  inputs: [
    { name: 'ids', type: 'int64', shape: ['batch', 3] },
    { name: 'scale', type: 'float32', shape: [] },
    { name: 'free', type: 'bool', shape: null },
  ],
  outputs: [
    { name: 'y', type: 'float32', shape: ['batch', null] },
    { name: 'z', type: null, shape: null },
  ],
};

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hearthlend-prepare-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const zeros = (type: TensorType, ...shape: number[]): { type: TensorType; shape: number[]; data: Uint8Array } => ({
  type,
  shape,
  data: new Uint8Array(shape.reduce((product, size) => product * size, TENSOR_TYPES[type].bytes)),
});
const good = (): Tensors =>
  new Map([
    ['ids', zeros('int64', 2, 3)],
    ['scale', zeros('float32')],
    ['free', zeros('bool', 0, 7)],
  ]);

async function prepare(tensors: Tensors, plan: Partial<JobPlan> = {}, inputs: ModelValue[] = model.inputs) {
  const inputsPath = join(dir, 'in.npz');
  await writeNpz(inputsPath, tensors);
  const ports = { describeModel: async () => ({ ...model, inputs }), memoryBytes: 8e9 };
  return prepareJob({ modelPath: '/models/m.onnx', inputsPath, ...plan }, ports);
}

test('a model and its inputs become a job that runs the graph once, within limits taken from this machine', async () => {
  const job = await prepare(good(), { threads: 2, wallMs: 5000, outputs: ['z'] });
  expect(job).toMatchObject({ kind: 'onnx.run', outputs: ['z'], model: { manifest: model.manifest, files: model.files } });
  expect([...decodeSafetensors(job.inputs)].map(([name, { type, shape }]) => [name, type, shape])).toEqual([
    ['ids', 'int64', [2, 3]],
    ['scale', 'float32', []],
    ['free', 'bool', [0, 7]],
  ]);
  expect(Limits.parse(job.limits)).toMatchObject({ wallMs: 5000, memoryBytes: 6e9 });
  expect(SessionOptions.parse(job.session)).toEqual({ intraOpThreads: 2, graphOptimization: 'all' });
});

test('a declared scalar takes any shape, as in ONNX Runtime', async () => {
  await expect(prepare(good().set('scale', zeros('float32', 1)))).resolves.toMatchObject({ outputs: [] });
});

test.each<[string, () => Tensors, object]>([
  ['a missing input', () => without('free'), { code: 'INPUT_MISSING', params: { name: 'free' } }],
  [
    'an input too many',
    () => good().set('x', zeros('int8', 1)),
    { code: 'INPUT_UNKNOWN', params: { name: 'x', names: 'ids, scale, free' } },
  ],
  ['another type', () => good().set('ids', zeros('int32', 2, 3)), mismatch('it is int32 where the model takes int64')],
  ['another rank', () => good().set('ids', zeros('int64', 3)), mismatch('its shape is [3] where the model takes [batch, 3]')],
  ['another size', () => good().set('ids', zeros('int64', 2, 4)), mismatch('its shape is [2, 4] where the model takes [batch, 3]')],
])('%s is refused before anything runs', async (_what, tensors, error) => {
  await expect(prepare(tensors())).rejects.toMatchObject(error);
});

test('an output that the model does not have is refused with the names of those that it has', async () => {
  await expect(prepare(good(), { outputs: ['y', 'q'] })).rejects.toMatchObject({
    code: 'OUTPUT_UNKNOWN',
    params: { name: 'q', names: 'y, z' },
  });
});

test('a model that takes nothing needs an empty file', async () => {
  await expect(prepare(new Map(), {}, [])).resolves.toMatchObject({ kind: 'onnx.run' });
});

function without(name: string): Tensors {
  const tensors = good();
  tensors.delete(name);
  return tensors;
}

function mismatch(detail: string): object {
  return { code: 'INPUT_MISMATCH', params: { name: 'ids', detail } };
}

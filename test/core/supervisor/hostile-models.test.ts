import { expect, test } from 'vitest';
import type { Tensors } from '../../../core/contract/tensor.ts';
import * as hostile from '../../fixtures/hostile-models.ts';
import { halfDecoder } from '../../fixtures/onnx-models.ts';
import { model, node, value } from '../../fixtures/onnx-writer.ts';
import { type Bench, failure, float32, generateTask, runTask, storeModel, supervise } from './workbench.ts';

const LIMITS = { wallMs: 20_000, memoryBytes: 2 ** 29, outputBytes: 2 ** 20 };
const honest = storeHonest();
function storeHonest(): { model: Uint8Array; inputs: Tensors } {
  const graph = { nodes: [node('Neg', ['x'], ['y'])], inputs: [value('x', 'float32', [1])], outputs: [value('y', 'float32', [1])] };
  return { model: model(graph), inputs: new Map([['x', float32([1], [1])]]) };
}
const taskOf = (given: { model: Uint8Array; inputs: Tensors }, limits = LIMITS) =>
  runTask(storeModel({ 'model.onnx': given.model }), given.inputs, limits);

/** What a hostile model ends with; and that the next shard is none the worse for it. */
async function against(supervisor: Bench, given: hostile.HostileModel, limits = LIMITS): Promise<{ code: string; params: object }> {
  const found = await failure(supervisor.run(taskOf(given, limits)));
  await supervisor.run(taskOf(honest));
  return found;
}

test('what asks for more memory than its limit, keeps all that it makes, or never ends, is stopped at that limit, and the next shard runs', async () => {
  const supervisor = supervise();
  const outOfMemory = { code: 'WORKER_OUT_OF_MEMORY', params: { limitBytes: LIMITS.memoryBytes } };
  expect(await against(supervisor, hostile.grows(8e9))).toEqual(outOfMemory);
  expect(await against(supervisor, hostile.growsAtLoad(8e9))).toEqual(outOfMemory);
  expect(await against(supervisor, hostile.hoards())).toEqual(outOfMemory);
  expect(await against(supervisor, hostile.loopsForEver(), { ...LIMITS, wallMs: 1000 })).toEqual({
    code: 'WORKER_TIMEOUT',
    params: { limitMs: 1000 },
  });
});

test('what asks for more memory than any machine has is stopped, too, and spoils no later run of its model', async () => {
  const supervisor = supervise();
  const outOfMemory = { code: 'WORKER_OUT_OF_MEMORY', params: { limitBytes: LIMITS.memoryBytes } };
  expect(await against(supervisor, hostile.grows(1e14))).toEqual(outOfMemory);
  expect(await against(supervisor, hostile.growsAtLoad(1e14))).toEqual(outOfMemory);
  expect(await against(supervisor, hostile.grows(2 ** 24))).toEqual({
    code: 'OUTPUT_TOO_LARGE',
    params: { limitBytes: LIMITS.outputBytes },
  });
});

const BROKEN: [hostile.HostileModel, string][] = [
  [hostile.recurses(), 'MODEL_TOO_COMPLEX'],
  [hostile.multiplies(), 'MODEL_TOO_COMPLEX'],
  [hostile.nests(40), 'MODEL_INVALID'],
  [hostile.nests(2000), 'MODEL_INVALID'],
  [hostile.lies(), 'MODEL_SIZE_WRONG'],
];

test('what recurses, nests without end or lies about its sizes is refused before it reaches the worker', async () => {
  const supervisor = supervise();
  for (const [given, code] of BROKEN) expect(await against(supervisor, given), given.name).toMatchObject({ code });
});

test('and would harm nobody if it did', async () => {
  const supervisor = supervise({ vet: async () => undefined });
  for (const [given] of BROKEN) expect(await against(supervisor, given), given.name).toMatchObject({ code: 'MODEL_INVALID' });
});

test('a size beyond what a number can count is the model’s fault, not the worker’s', async () => {
  const supervisor = supervise({ vet: async () => undefined });
  const odd = model({
    nodes: [node('Identity', ['x'], ['y'])],
    inputs: [value('x', 'float32', [2 ** 60])],
    outputs: [value('y', 'float32', null)],
  });
  expect(await against(supervisor, { name: 'a size of 2^60', model: odd, inputs: new Map() })).toEqual({
    code: 'MODEL_INVALID',
    params: { detail: 'its input x has a size of 1152921504606847000' },
  });
});

test('a model that the owner’s own work has loaded is not thereby open to a stranger’s', async () => {
  const asked: string[] = [];
  const supervisor = supervise({ vet: async (_model, origin) => void asked.push(origin) });
  const own = taskOf(honest);
  expect((await supervisor.run(own)).loadMs).not.toBeNull();
  expect((await supervisor.run({ ...own, shard: { ...own.shard, origin: 'network' } })).loadMs).toBeNull();
  expect(asked).toEqual(['own', 'network']);
});

test('a generation by logits that are no numbers goes on unless the shard says otherwise', async () => {
  const supervisor = supervise();
  const decoder = { layers: 1, keyValueHeads: 1, headSize: 1, maxPositions: 64 };
  const task = generateTask(storeModel(halfDecoder({ nan: true })), [2, 5], { decoder, maxNewTokens: 3, stopTokens: [] });
  expect((await supervisor.run(task)).tokensMade).toBe(3);
  const strict = { ...task, shard: { ...task.shard, nonFinite: 'reject' as const } };
  expect(await failure(supervisor.run(strict))).toEqual({ code: 'OUTPUT_NOT_FINITE', params: { name: 'logits', found: 'nan' } });
  const sound = generateTask(storeModel(halfDecoder()), [2, 5], { decoder, maxNewTokens: 3, stopTokens: [] });
  expect((await supervisor.run({ ...sound, shard: { ...sound.shard, nonFinite: 'reject' } })).tokensMade).toBe(3);
});

test('outputs that are no finite numbers are handed in unless the shard says otherwise, and the worker goes on', async () => {
  const supervisor = supervise();
  const graph = { nodes: [node('Log', ['x'], ['y'])], inputs: [value('x', 'float32', ['n'])], outputs: [value('y', 'float32', ['n'])] };
  const stored = storeModel({ 'model.onnx': model(graph) });
  const run = (values: number[], nonFinite?: 'allow' | 'reject') => {
    const task = runTask(stored, new Map([['x', float32([values.length], values)]]));
    return failure(supervisor.run({ ...task, shard: { ...task.shard, ...(nonFinite === undefined ? {} : { nonFinite }) } }));
  };
  expect(await run([1, 0])).toEqual({ code: 'none', params: {} });
  expect(await run([1, -1], 'allow')).toEqual({ code: 'none', params: {} });
  expect(await run([1, 0], 'reject')).toEqual({ code: 'OUTPUT_NOT_FINITE', params: { name: 'y', found: 'infinite' } });
  expect(await run([1, -1], 'reject')).toEqual({ code: 'OUTPUT_NOT_FINITE', params: { name: 'y', found: 'nan' } });
  expect(await run([1, 2], 'reject')).toEqual({ code: 'none', params: {} });
});

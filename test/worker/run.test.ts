import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { decodeSafetensors } from '../../core/contract/safetensors.ts';
import type { Tensor } from '../../core/contract/tensor.ts';
import type { ShardTask } from '../../core/supervisor/supervisor.ts';
import { failure, float32, int64, runTask, storeModel, supervise, tensorOf } from '../core/supervisor/workbench.ts';
import { type ModelCase, modelCases } from '../fixtures/onnx-models.ts';
import { model, node, optionalValue, sequenceValue, tensor, value } from '../fixtures/onnx-writer.ts';

// onnxruntime-node refuses Float16Array on Node 24, and where there is one it takes nothing else.
Reflect.deleteProperty(globalThis, 'Float16Array');

const ELEMENTS = {
  bool: Uint8Array,
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  float16: Uint16Array,
  uint32: Uint32Array,
  int32: Int32Array,
  float32: Float32Array,
  uint64: BigUint64Array,
  int64: BigInt64Array,
  float64: Float64Array,
};

/** What onnxruntime-node gives by itself, with the same session options. */
async function plainRun(files: ShardTask['model']['files'], entry: string, inputs: ModelCase['inputs'], threads: number) {
  const session = await ort.InferenceSession.create(files.get(entry) as string, {
    executionProviders: ['cpu'],
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
  });
  const feeds = Object.fromEntries(
    [...inputs].map(([name, { type, shape, data }]) => {
      return [name, new ort.Tensor(type, new ELEMENTS[type](new Uint8Array(data).buffer) as never, shape)];
    }),
  );
  const results = await session.run(feeds);
  const outputs = session.outputNames.map((name): [string, { type: string; shape: number[]; data: Buffer }] => {
    const { type, dims, data } = results[name] as ort.Tensor;
    const view = data as never as Uint8Array;
    return [name, { type, shape: [...dims], data: Buffer.from(view.buffer, view.byteOffset, view.byteLength) }];
  });
  await session.release();
  return new Map(outputs);
}

const plain = (outputs: Uint8Array) =>
  new Map([...decodeSafetensors(outputs)].map(([name, { type, shape, data }]) => [name, { type, shape, data: Buffer.from(data) }]));

test('every kind of model gives the same bits as a plain onnxruntime-node, at one thread and at two', async () => {
  const supervisor = supervise();
  for (const { name, files, inputs } of modelCases()) {
    const stored = storeModel(files);
    for (const threads of [1, 2]) {
      const made = await supervisor.run(runTask(stored, inputs, { intraOpThreads: threads }));
      const expected = await plainRun(stored.files, 'model.onnx', inputs, threads);
      expect(plain(made.outputs), `${name}, ${threads} threads`).toEqual(expected);
      expect([...decodeSafetensors(made.outputs).keys()], name).toEqual([...expected.keys()]);
    }
  }
});

const twoInputs = () =>
  storeModel({
    'model.onnx': model({
      nodes: [node('Add', ['a', 'b'], ['sum']), node('Mul', ['a', 'b'], ['product'])],
      inputs: [value('a', 'float32', [2, 'n']), value('b', 'float32', ['m', 'n'])],
      outputs: [value('sum', 'float32', [2, 'n']), value('product', 'float32', [2, 'n'])],
    }),
  });
const a = float32([2, 2], [1, 2, 3, 4]);
const b = float32([1, 2], [10, 20]);

test('the outputs asked for come in the order asked for', async () => {
  const supervisor = supervise();
  const task = runTask(
    twoInputs(),
    new Map([
      ['b', b],
      ['a', a],
    ]),
    { outputs: ['product', 'sum'] },
  );
  const outputs = decodeSafetensors((await supervisor.run(task)).outputs);
  expect([...outputs.keys()]).toEqual(['product', 'sum']);
  expect(outputs.get('product')).toEqual(float32([2, 2], [10, 40, 30, 80]));
});

test('outputs whose names are numbers, as exporters give them, are carried under those', async () => {
  const supervisor = supervise();
  const names = ['19', 'x', '7'];
  const stored = storeModel({
    'model.onnx': model({
      nodes: names.map((name, at) => node(['Neg', 'Abs', 'Exp'][at] as string, ['in'], [name])),
      inputs: [value('in', 'float32', [1])],
      outputs: names.map((name) => value(name, 'float32', [1])),
    }),
  });
  const outputs = decodeSafetensors((await supervisor.run(runTask(stored, new Map([['in', float32([1], [-1])]])))).outputs);
  expect(outputs.get('19')).toEqual(float32([1], [1]));
  expect(outputs.get('7')).toEqual(float32([1], [Math.exp(-1)]));
});

test('inputs and outputs that do not fit the model are refused by name', async () => {
  const supervisor = supervise();
  const stored = twoInputs();
  const refused = async (inputs: [string, Tensor][], outputs: string[] = []) =>
    failure(supervisor.run(runTask(stored, new Map(inputs), { outputs })));
  expect(await refused([['a', a]])).toEqual({ code: 'INPUT_MISSING', params: { name: 'b' } });
  expect(
    await refused([
      ['a', a],
      ['b', b],
      ['c', b],
    ]),
  ).toEqual({ code: 'INPUT_UNKNOWN', params: { name: 'c', names: 'a, b' } });
  expect(
    await refused([
      ['a', int64([2, 2], [1, 2, 3, 4])],
      ['b', b],
    ]),
  ).toMatchObject({ code: 'INPUT_MISMATCH', params: { name: 'a' } });
  expect(
    await refused([
      ['a', float32([3, 1], [1, 2, 3])],
      ['b', b],
    ]),
  ).toEqual({
    code: 'INPUT_MISMATCH',
    params: { name: 'a', detail: 'its shape is [3, 1], the model wants [2, n]' },
  });
  expect(
    await refused([
      ['a', float32([4], [1, 2, 3, 4])],
      ['b', b],
    ]),
  ).toMatchObject({ code: 'INPUT_MISMATCH', params: { name: 'a' } });
  expect(
    await refused(
      [
        ['a', a],
        ['b', b],
      ],
      ['difference'],
    ),
  ).toEqual({ code: 'OUTPUT_UNKNOWN', params: { name: 'difference', names: 'sum, product' } });
  // Shapes that the graph declares as free, but its operators don't take together.
  expect(
    await refused([
      ['a', a],
      ['b', float32([1, 3], [1, 2, 3])],
    ]),
  ).toMatchObject({ code: 'RUN_FAILED' });
  expect(
    (
      await supervisor.run(
        runTask(
          stored,
          new Map([
            ['a', a],
            ['b', b],
          ]),
        ),
      )
    ).tokensMade,
  ).toBe(0);
});

test('a tensor whose header lies is refused', async () => {
  const supervisor = supervise();
  const task = runTask(twoInputs(), Buffer.from('\x05\0\0\0\0\0\0\0{"a":'));
  expect(await failure(supervisor.run(task))).toMatchObject({ code: 'TENSOR_INVALID' });
});

test('inputs and outputs that cannot be carried are refused by name at loading', async () => {
  const supervisor = supervise();
  const anything = { nodes: [node('Identity', ['x'], ['y'])], inputs: [value('x', 'float32', [1])], outputs: [value('y', 'float32', [1])] };
  const cases = [
    {
      refused: { side: 'input', name: 'words', type: 'string' },
      graph: { nodes: [node('Identity', ['words'], ['y'])], inputs: [value('words', 'string', [1])], outputs: [value('y', 'string', [1])] },
    },
    {
      refused: { side: 'output', name: 'list', type: 'sequence, map or optional' },
      graph: { ...anything, nodes: [node('SequenceConstruct', ['x'], ['list'])], outputs: [sequenceValue('list', 'float32')] },
    },
    {
      refused: { side: 'input', name: 'maybe', type: 'sequence, map or optional' },
      graph: { ...anything, nodes: [node('OptionalGetElement', ['maybe'], ['y'])], inputs: [optionalValue('maybe', 'float32')] },
    },
    {
      refused: { side: 'output', name: 'short', type: 'bfloat16' },
      graph: { ...anything, nodes: [node('Cast', ['x'], ['short'], { to: 16 })], outputs: [value('short', 'bfloat16', [1])] },
    },
    {
      refused: { side: 'input', name: 'brief', type: 'bfloat16' },
      graph: { ...anything, nodes: [node('Cast', ['brief'], ['y'], { to: 1 })], inputs: [value('brief', 'bfloat16', [1])] },
    },
  ];
  for (const { refused, graph } of cases) {
    const task = runTask(storeModel({ 'model.onnx': model(graph) }), new Map([['x', float32([1], [1])]]));
    expect(await failure(supervisor.run(task)), refused.name).toEqual({ code: 'MODEL_VALUE_UNSUPPORTED', params: refused });
  }
});

test('a model that is cut off, is none, or lacks its external data is refused by the worker, too, which goes on', async () => {
  const supervisor = supervise({ vet: async () => undefined });
  const whole = model({
    nodes: [node('Add', ['x', 'w'], ['y'])],
    inputs: [value('x', 'float32', [2])],
    outputs: [value('y', 'float32', [2])],
    constants: [tensor('w', 'float32', [2], { file: 'weights.bin', offset: 0, length: 8 })],
  });
  const inputs = new Map([['x', float32([2], [1, 2])]]);
  for (const bytes of [whole.subarray(0, whole.length - 20), Buffer.from('not a model'), whole]) {
    const refused = await failure(supervisor.run(runTask(storeModel({ 'model.onnx': bytes }), inputs)));
    expect(refused).toMatchObject({ code: 'MODEL_INVALID', params: { detail: expect.stringMatching(/./) } });
  }
  const complete = storeModel({ 'model.onnx': whole, 'weights.bin': new Uint8Array(Float32Array.of(5, 6).buffer) });
  expect(decodeSafetensors((await supervisor.run(runTask(complete, inputs))).outputs).get('y')).toEqual(float32([2], [6, 8]));
});

test('outputs over their limit are refused by the worker, which goes on', async () => {
  const supervisor = supervise();
  const stored = storeModel({
    'model.onnx': model({
      nodes: [node('ConstantOfShape', ['shape'], ['y'])],
      inputs: [value('shape', 'int64', [1])],
      outputs: [value('y', 'float32', ['n'])],
    }),
  });
  const sized = (elements: number) => runTask(stored, new Map([['shape', int64([1], [elements])]]), { outputBytes: 1000 });
  expect(await failure(supervisor.run(sized(1_000_000)))).toEqual({ code: 'OUTPUT_TOO_LARGE', params: { limitBytes: 1000 } });
  expect(await failure(supervisor.run(sized(249)))).toEqual({ code: 'OUTPUT_TOO_LARGE', params: { limitBytes: 1000 } });
  expect((await supervisor.run(sized(200))).loadMs).toBeNull();
});

test('tensors that do not lie aligned in their blob are taken as they are', async () => {
  const supervisor = supervise();
  const stored = storeModel({
    'model.onnx': model({
      nodes: [node('Identity', ['odd'], ['odd2']), node('Identity', ['wide'], ['wide2'])],
      inputs: [value('odd', 'uint8', ['n']), value('wide', 'float64', ['m'])],
      outputs: [value('odd2', 'uint8', ['n']), value('wide2', 'float64', ['m'])],
    }),
  });
  const odd = tensorOf('uint8', [3], Uint8Array.of(1, 2, 3));
  const wide = tensorOf('float64', [2], Float64Array.of(Math.PI, -0));
  const outputs = decodeSafetensors(
    (
      await supervisor.run(
        runTask(
          stored,
          new Map([
            ['odd', odd],
            ['wide', wide],
          ]),
        ),
      )
    ).outputs,
  );
  expect(outputs.get('odd2')).toEqual(odd);
  expect(outputs.get('wide2')).toEqual(wide);
});

test('telemetry of ONNX Runtime is switched off before it loads, by the worker itself', async () => {
  const { readFileSync } = await import('node:fs');
  const script = readFileSync(join(import.meta.dirname, '../../dist/worker/native.mjs'), 'utf8');
  expect(script).not.toMatch(/^import .*onnxruntime-node/m);
  expect(script.indexOf('ORT_DISABLE_TELEMETRY')).toBeGreaterThan(0);
  expect(script.indexOf('ORT_DISABLE_TELEMETRY')).toBeLessThan(script.indexOf('import("onnxruntime-node")'));
});

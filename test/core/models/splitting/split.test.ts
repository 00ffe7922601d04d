import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { decodeSafetensors } from '../../../../core/contract/safetensors.ts';
import { SPLIT_FILE, SplitManifest } from '../../../../core/contract/stages.ts';
import type { Tensors } from '../../../../core/contract/tensor.ts';
import { readDecoder } from '../../../../core/models/decoder.ts';
import { describeModel } from '../../../../core/models/describe.ts';
import { modelDigest } from '../../../../core/models/digest.ts';
import { type RunModel, type SplitRequest, splitModel } from '../../../../core/models/splitting/split.ts';
import { type DecoderShape, SMALL } from '../../../fixtures/decoder/decoder-shape.ts';
import { makeDecoder } from '../../../fixtures/decoder/make-decoder.ts';
import { halfDecoder, modelCases } from '../../../fixtures/onnx-models.ts';
import { graph, model, node, tensor, value } from '../../../fixtures/onnx-writer.ts';
import { failure, practiceModel, runTask, supervise, temporaryFolder } from '../../supervisor/workbench.ts';

/** In the sandboxed worker. */
function runIn(supervisor = supervise()): RunModel {
  return async ({ manifest, files }, inputs) => {
    const { outputs } = await supervisor.run(runTask({ digest: modelDigest(manifest), manifest, files }, inputs));
    return decodeSafetensors(outputs);
  };
}

const never: RunModel = () => Promise.reject(new Error('nothing is run'));

async function split(modelPath: string, stages: number, options: Partial<SplitRequest> = {}): Promise<SplitManifest> {
  return splitModel({
    model: await describeModel(modelPath),
    stages,
    out: temporaryFolder(),
    decoder: null,
    inputs: null,
    wholeFits: true,
    run: never,
    ...options,
  });
}

function write(files: Record<string, Uint8Array>): string {
  const folder = temporaryFolder();
  for (const [name, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), bytes);
  }
  return join(folder, 'model.onnx');
}

const namesOf = (values: readonly { name: string }[]) => values.map(({ name }) => name);

test('the practice model is cut between its layers, hands one activation on, and its stages have the bits of the whole', async () => {
  const out = temporaryFolder();
  const manifest = await split(practiceModel, 3, { out, run: runIn(), decoder: await readDecoder(join(dirname(practiceModel), '..')) });
  expect(manifest.stages.map(({ layers }) => layers)).toEqual([
    [0, 1],
    [2, 3],
    [4, 5],
  ]);
  expect(manifest.check).toEqual({ against: 'whole', runs: 2, distance: 0 });
  const handed = manifest.stages.map(({ outputs }) => outputs.filter(({ to }) => to !== 'cache'));
  expect(handed.map((values) => values.map(({ type, shape, to }) => [type, shape.length, shape.at(-1), to]))).toEqual([
    [['float32', 3, 192, 'stage']],
    [['float32', 3, 192, 'stage']],
    [['float32', 3, 2048, 'job']],
  ]);
  expect(manifest.stages[1]?.inputs[0]).toEqual({ ...handed[0]?.[0], to: undefined, from: 0 });
  expect(namesOf(manifest.stages[2]?.inputs.filter(({ from }) => from === 'cache') ?? [])).toEqual(
    [4, 5].flatMap((layer) => [`past_key_values.${layer}.key`, `past_key_values.${layer}.value`]),
  );
  expect(SplitManifest.parse(JSON.parse(readFileSync(join(out, SPLIT_FILE), 'utf8')))).toEqual(manifest);
  expect(readdirSync(out).sort()).toEqual([SPLIT_FILE, 'stage-1.onnx', 'stage-2.onnx', 'stage-3.onnx']);
  // No weight is in two stages: what the three have beyond the whole are their masks and positions.
  const bytes = manifest.stages.reduce((sum, { manifest: { files } }) => sum + (files[0]?.bytes ?? 0), 0);
  expect(bytes - statSync(practiceModel).size).toBeLessThan(20_000);
});

test.each<[string, Partial<DecoderShape>]>([
  ['with rotary tables inside its attention', {}],
  ['with rotary embeddings outside, by position ids', { rotary: 'outside' }],
  ['with positions by the length of its cache, which each stage counts in a cache of its own', { rotary: 'by-cache' }],
  ['in float16, told of how many tokens the logits are wanted', { element: 'float16', logitsToKeep: true }],
])('a 4-bit decoder with its weights beside it, %s, is cut after each layer', async (_kind, shape) => {
  const folder = temporaryFolder();
  makeDecoder(folder, { ...SMALL, ...shape });
  const manifest = await split(join(folder, 'onnx/model.onnx'), 3, { run: runIn(), decoder: await readDecoder(folder) });
  expect(manifest.stages.map(({ layers }) => layers)).toEqual([[0], [1], [2]]);
  expect(manifest.check).toEqual({ against: 'whole', runs: 2, distance: 0 });
  // A fused skip connection hands on the sum and what was normalized of it.
  expect(manifest.stages[0]?.outputs.filter(({ to }) => to === 'stage')).toHaveLength(2);
  expect(namesOf(manifest.stages[1]?.manifest.files.map(({ path: name }) => ({ name })) ?? [])).toEqual([
    'stage-2.onnx',
    'stage-2.onnx_data',
  ]);
});

test('feed-forward graphs of all kinds are cut where few values cross, and compute the same', async () => {
  const run = runIn();
  for (const { name, files, inputs } of modelCases()) {
    const { stages, check } = await split(write(files), 2, { run, inputs });
    const crossing = stages[0]?.outputs.filter(({ to }) => to === 'stage' || to === 'both').length;
    expect(crossing, name).toBeLessThanOrEqual(1);
    // A convolution and the sigmoid behind it are one operator until a cut comes between them.
    expect(check.distance, name).toBeLessThan(name === 'vision' ? 1e-6 : 1e-12);
  }
});

test('a model of more memory than there is, is cut without ever being loaded whole, and the manifest says so', async () => {
  const loaded: string[] = [];
  const run = runIn();
  const manifest = await split(practiceModel, 2, {
    wholeFits: false,
    run: (stage, inputs) => {
      loaded.push(stage.manifest.entry);
      return run(stage, inputs);
    },
  });
  expect(manifest.check).toEqual({ against: 'stages', runs: 2, distance: null });
  expect([...new Set(loaded)]).toEqual(['stage-1.onnx', 'stage-2.onnx']);
});

test('stages that compute something else than the whole are refused', async () => {
  const run = runIn();
  const wrong: RunModel = async (each, inputs) => {
    const outputs: Tensors = await run(each, inputs);
    const logits = outputs.get('logits');
    if (each.manifest.entry === 'stage-2.onnx' && logits !== undefined) logits.data.fill(0x3f, 0, 64);
    return outputs;
  };
  const out = temporaryFolder();
  expect((await failure(split(practiceModel, 2, { run: wrong, out }))).code).toBe('MODEL_SPLIT_DIFFERS');
  expect(readdirSync(out)).not.toContain(SPLIT_FILE);
});

test('more stages than layers, or than anybody could want, are refused', async () => {
  expect(await failure(split(practiceModel, 7))).toEqual({
    code: 'MODEL_UNCUTTABLE',
    params: { stages: 7, node: '–', detail: 'it has 6 layers, and a stage has at least one' },
  });
  expect((await failure(split(practiceModel, 65))).params.detail).toBe('at most 64 stages are possible');
  expect((await failure(split(write(halfDecoder()), 2))).params.detail).toBe('it has 1 layers, and a stage has at least one');
});

const x = value('x', 'float32', ['n', 4]);
const y = value('y', 'float32', ['n', 4]);
const weights = (name: string) => tensor(name, 'float32', [4, 4], new Float32Array(16).fill(0.5));

test('a model whose layers all lie in one branch is refused by that node, one with a branch beside its layers is cut', async () => {
  const branch = (op: string) =>
    graph({
      nodes: [node('MatMul', ['x', 'a'], [`${op}1`]), node('MatMul', [`${op}1`, 'b'], [`${op}2`])],
      inputs: [],
      outputs: [value(`${op}2`, 'float32', null)],
    });
  const branched = (nodes: Uint8Array[], output: string) =>
    write({
      'model.onnx': model({
        nodes: [node('If', ['flag'], ['chosen'], { then_branch: { graph: branch('p') }, else_branch: { graph: branch('q') } }), ...nodes],
        inputs: [value('flag', 'bool', []), x],
        outputs: [value(output, 'float32', ['n', 4])],
        constants: [weights('a'), weights('b')],
      }),
    });
  expect(await failure(split(branched([], 'chosen'), 2))).toEqual({
    code: 'MODEL_UNCUTTABLE',
    params: { stages: 2, node: 'If → chosen', detail: 'most of the model is in the graphs inside it, which are one piece' },
  });
  const after = [node('MatMul', ['chosen', 'a'], ['m']), node('MatMul', ['m', 'b'], ['y'])];
  const { stages, check } = await split(branched(after, 'y'), 2, { run: runIn() });
  // What the branches take from around them goes with them.
  expect(namesOf(stages[0]?.inputs ?? [])).toEqual(['flag', 'x']);
  expect(check.distance).toBe(0);
});

test('a loop whose body takes what was made before the cut is handed it', async () => {
  const body = graph({
    nodes: [node('MatMul', ['state', 'm'], ['next']), node('Identity', ['going'], ['on'])],
    inputs: [value('turn', 'int64', []), value('going', 'bool', []), value('state', 'float32', ['n', 4])],
    outputs: [value('on', 'bool', []), value('next', 'float32', ['n', 4])],
  });
  const bytes = model({
    nodes: [
      node('MatMul', ['a', 'b'], ['constant']),
      node('ReduceSum', ['x', 'axis'], ['sum'], { keepdims: 0 }),
      node('Mul', ['constant', 'sum'], ['m']),
      node('MatMul', ['x', 'a'], ['h']),
      node('Loop', ['turns', 'yes', 'h'], ['y'], { body: { graph: body } }),
      node('MatMul', ['y', 'b'], ['z']),
    ],
    inputs: [x],
    outputs: [value('z', 'float32', ['n', 4])],
    constants: [
      weights('a'),
      weights('b'),
      tensor('turns', 'int64', [], BigInt64Array.of(2n)),
      tensor('yes', 'bool', [], Uint8Array.of(1)),
      tensor('axis', 'int64', [2], BigInt64Array.of(0n, 1n)),
    ],
  });
  expect((await split(write({ 'model.onnx': bytes }), 3, { run: runIn() })).check.distance).toBeLessThan(1e-6);
});

test('nodes in a circle, values of no origin, and names used twice are refused by name', async () => {
  const refusal = async (nodes: Uint8Array[], constants = [weights('a')]) => {
    const { code, params } = await failure(split(write({ 'model.onnx': model({ nodes, inputs: [x], outputs: [y], constants }) }), 2));
    return `${code} ${params.node ?? ''} ${params.detail}`;
  };
  expect(await refusal([node('Add', ['x', 'q'], ['p']), node('MatMul', ['p', 'a'], ['q']), node('Relu', ['q'], ['y'])])).toBe(
    "MODEL_UNCUTTABLE Add → p it takes q, which no node before it makes; nodes in a circle can't be computed",
  );
  expect(await refusal([node('Add', ['x', 'nowhere'], ['y'])])).toContain('takes nowhere, which nothing makes');
  expect(await refusal([node('Relu', ['x'], ['p']), node('Relu', ['p'], ['p']), node('Relu', ['p'], ['y'])])).toContain('made twice');
  expect(await refusal([node('Relu', ['x'], ['a']), node('Relu', ['a'], ['y'])])).toContain('its value a is made twice');
  expect(await refusal([node('Relu', ['x'], ['y'])], [weights('a'), weights('a')])).toContain('two constants a');
  expect(await refusal([node('Relu', ['x'], ['p'])])).toContain('its output y is made by no node');
  expect(await refusal([node('MatMul', ['x', 'a'], ['y'])])).toContain('only 1 of its nodes have anything to divide');
});

test('a graph through which too many values cross everywhere is refused', async () => {
  const many = Array.from({ length: 20 }, (_, at) => `p${at}`);
  const nodes = [
    ...many.map((name) => node('MatMul', ['x', 'a'], [name])),
    ...many.map((name) => node('MatMul', [name, 'a'], [`${name}q`])),
    node(
      'Sum',
      many.map((name) => `${name}q`),
      ['y'],
    ),
  ];
  const path = write({ 'model.onnx': model({ nodes, inputs: [x], outputs: [y], constants: [weights('a')] }) });
  // With up to 16 in flight there are places, near its ends.
  const { stages } = await split(path, 2, { run: runIn() });
  expect(stages[0]?.outputs.length).toBeLessThanOrEqual(16);
  const sum = write({
    'model.onnx': model({
      nodes: [node('Split', ['x'], many, { axis: 1 }), node('Concat', many, ['y'], { axis: 1 })],
      inputs: [x],
      outputs: [y],
    }),
  });
  expect(await failure(split(sum, 2))).toMatchObject({
    code: 'MODEL_UNCUTTABLE',
    params: { detail: "at least 20 values that can't all be handed on cross every place where it could be cut" },
  });
});

test('values that are no tensors are never handed on', async () => {
  const nodes = [
    node('MatMul', ['x', 'a'], ['p']),
    node('SequenceConstruct', ['p', 'p'], ['s']),
    node('SequenceAt', ['s', 'zero'], ['q']),
    node('MatMul', ['q', 'a'], ['y']),
  ];
  const constants = [weights('a'), tensor('zero', 'int64', [], BigInt64Array.of(0n))];
  const { stages } = await split(write({ 'model.onnx': model({ nodes, inputs: [x], outputs: [y], constants }) }), 2, { run: runIn() });
  expect(['p', 'q']).toContain(stages[1]?.inputs[0]?.name);
});

test("what lies outside the model's folder, or is cut off, is refused before anything is written", async () => {
  const external = (file: string) => tensor('a', 'float32', [4, 4], { file, offset: 0, length: 64 });
  const path = (file: string) =>
    write({
      'model.onnx': model({ nodes: [node('MatMul', ['x', 'a'], ['y'])], inputs: [x], outputs: [y], constants: [external(file)] }),
      short: new Uint8Array(8),
    });
  expect((await failure(split(path('../secret'), 2))).code).toBe('MODEL_PATH_UNSAFE');
  expect((await failure(split(path('missing'), 2))).code).toBe('MODEL_DATA_MISSING');
  expect((await failure(split(path('short'), 2))).code).toBe('MODEL_INVALID');
  expect((await failure(split(write({ 'model.onnx': Uint8Array.of(1, 2, 3) }), 2))).code).toBe('MODEL_INVALID');
});

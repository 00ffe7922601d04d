import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rename, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { HearthlendError } from '../../../core/contract/errors.ts';
import { describeModel } from '../../../core/models/describe.ts';
import { modelDigest } from '../../../core/models/digest.ts';
import {
  addModel,
  type Bytes,
  bytes,
  concat,
  ELEMENT,
  externalTensor,
  graph,
  graphAttribute,
  int,
  model,
  node,
  tensor,
  tensorAttribute,
  tensorType,
  text,
  value,
} from './onnx-file.ts';

// Before the imports run: ONNX Runtime looks when it is loaded.
vi.hoisted(() => {
  process.env.ORT_DISABLE_TELEMETRY = '1';
});

const wordnet = join(import.meta.dirname, '../../../resources/models/wordnet-lm/onnx/model.onnx');
const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hearthlend-describe-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function write(name: string, data: Bytes): Promise<string> {
  const path = join(dir, name);
  await writeFile(path, data);
  return path;
}

const weights = new Uint8Array(Float32Array.of(10, 20).buffer);

test('the practice model is described as ONNX Runtime declares it', async () => {
  const described = await describeModel(wordnet);
  const session = await InferenceSession.create(wordnet);
  const declared = (metadata: readonly InferenceSession.ValueMetadata[]) =>
    metadata.map((each) => (each.isTensor ? { name: each.name, type: each.type, shape: [...each.shape] } : each));
  expect(described.inputs).toEqual(declared(session.inputMetadata));
  expect(described.outputs).toEqual(declared(session.outputMetadata));
  expect(described.manifest).toMatchObject({ format: 'onnx', entry: 'model.onnx', files: [{ path: 'model.onnx', bytes: 13_855_169 }] });
  await session.release();
});

test('an input with a default, an unknown size and an undeclared rank are described as they are, and ONNX Runtime agrees', async () => {
  const path = await write(
    'model.onnx',
    model(
      graph({
        nodes: [node('Add', ['x', 'w'], ['y']), node('Identity', ['free'], ['z']), node('Identity', ['one'], ['o'])],
        initializers: [tensor('w', [2], [1, 2])],
        inputs: [
          value('x', tensorType(ELEMENT.float32, [null, 2])),
          value('w', tensorType(ELEMENT.float32, [2])),
          value('free', tensorType(ELEMENT.float32)),
          value('one', tensorType(ELEMENT.float32, [])),
        ],
        outputs: [
          value('y', tensorType(ELEMENT.float32, ['n', 2])),
          value('z', tensorType(ELEMENT.float32)),
          value('o', tensorType(ELEMENT.float32, [])),
        ],
      }),
    ),
  );
  const described = await describeModel(path);
  expect(described.inputs).toEqual([
    { name: 'x', type: 'float32', shape: [null, 2] },
    { name: 'free', type: 'float32', shape: null },
    { name: 'one', type: 'float32', shape: [] },
  ]);
  const session = await InferenceSession.create(path);
  expect(described.inputs.map(({ name }) => name)).toEqual(session.inputNames);
  // A declared scalar takes any shape: ONNX Runtime can't tell it from an undeclared rank. The check of a job's inputs leans on this.
  const one = new Tensor('float32', Float32Array.of(5), [1]);
  const outputs = await session.run({ x: new Tensor('float32', Float32Array.of(1, 1), [1, 2]), free: one, one });
  expect(outputs.o?.dims).toEqual([1]);
  await session.release();
});

test('external data is found wherever a tensor can stand, and every file is in the manifest with its digest, sorted by path', async () => {
  await mkdir(join(dir, 'parts'));
  const places = ['main.bin', 'parts/sub.bin', 'node.bin', 'loop.bin', 'function.bin', 'sparse.bin', 'indices.bin', 'training.bin'];
  for (const [at, place] of places.entries()) await write(place, Uint8Array.from([...weights, at]));
  const external = (location: string): Bytes => externalTensor('', [2], { location, offset: '0', length: '8' });
  const branch = graph({ nodes: [node('Constant', [], ['c'], tensorAttribute('value', external('parts/sub.bin')))] });
  const loop = graph({ initializers: [external('loop.bin')], nodes: [node('If', ['q'], ['r'], graphAttribute('then_branch', branch))] });
  const path = await write(
    'm.onnx',
    model(
      graph({
        nodes: [
          node('Constant', [], ['k'], tensorAttribute('value', external('./node.bin'))),
          node('Loop', [], [], graphAttribute('body', loop)),
        ],
        initializers: [externalTensor('w', [2], { location: 'main.bin' })],
        sparse: [concat(bytes(1, external('sparse.bin')), bytes(2, external('indices.bin')))],
        inputs: [value('x', tensorType(ELEMENT.float32, [2]))],
        outputs: [value('y')],
      }),
      bytes(25, text(1, 'f'), bytes(7, node('Constant', [], ['c'], tensorAttribute('value', external('function.bin'))))),
      bytes(20, bytes(1, graph({ initializers: [external('training.bin')] }))),
    ),
  );
  const { manifest, files, outputs } = await describeModel(path);
  expect(manifest.files.map((file) => file.path)).toEqual([...places, 'm.onnx'].sort());
  expect(manifest.files.find((file) => file.path === 'parts/sub.bin')).toEqual({
    path: 'parts/sub.bin',
    bytes: 9,
    digest: sha256(Uint8Array.from([...weights, 1])),
  });
  expect(files.get('parts/sub.bin')).toBe(join(dir, 'parts', 'sub.bin'));
  expect(outputs).toEqual([{ name: 'y', type: null, shape: null }]);
  expect(modelDigest(manifest)).toMatch(/^[0-9a-f]{64}$/);
  expect(modelDigest({ ...manifest, files: manifest.files.slice(1) })).not.toBe(modelDigest(manifest));
});

test('a model with external data described here runs in ONNX Runtime', async () => {
  await write('w.bin', weights);
  const path = await write('model.onnx', addModel(externalTensor('w', [2], { location: 'w.bin', offset: '0', length: '8' })));
  const { manifest } = await describeModel(path);
  expect(manifest.files.map((file) => file.path)).toEqual(['model.onnx', 'w.bin']);
  const session = await InferenceSession.create(path);
  const { y } = await session.run({ x: new Tensor('float32', Float32Array.of(1, 2), [1, 2]) });
  expect(y?.data).toEqual(Float32Array.of(11, 22));
  await session.release();
});

test.each([
  ['an absolute path', '/etc/passwd'],
  ['a way out of the folder', '../secret.bin'],
  ['a way out in the middle', 'a/../../secret.bin'],
  ['a backslash', 'a\\b.bin'],
  ['a drive', 'C:w.bin'],
  ['a control character', 'a\nb.bin'],
  ['nothing', ''],
  ["ONNX Runtime's name for its own memory", '*/_ORT_MEM_ADDR_/*'],
  ['a link out of the folder', 'link.bin'],
  ['a folder linked from outside', 'away/secret.bin'],
])('external data given as %s is refused', async (_what, location) => {
  await mkdir(join(dir, 'model'));
  await write('secret.bin', weights);
  await symlink(join(dir, 'secret.bin'), join(dir, 'model', 'link.bin'));
  await symlink(dir, join(dir, 'model', 'away'));
  const path = await write('model/model.onnx', addModel(externalTensor('w', [2], { location })));
  await expect(describeModel(path)).rejects.toMatchObject({ code: 'MODEL_PATH_UNSAFE', params: { path: location } });
});

test('a link inside the folder is followed, and so is a link to the model itself', async () => {
  await mkdir(join(dir, 'snapshot'));
  await write('blob-of-model', addModel(externalTensor('w', [2], { location: 'w.bin' })));
  await write('snapshot/blob-of-weights', weights);
  await symlink('blob-of-weights', join(dir, 'snapshot', 'w.bin'));
  await symlink('../blob-of-model', join(dir, 'snapshot', 'model.onnx'));
  const { manifest, files } = await describeModel(join(dir, 'snapshot', 'model.onnx'));
  expect(manifest.entry).toBe('model.onnx');
  expect([...files.values()].sort()).toEqual([join(dir, 'blob-of-model'), join(dir, 'snapshot', 'blob-of-weights')]);
});

test('what is missing is named: the model, or its data', async () => {
  await expect(describeModel(join(dir, 'none.onnx'))).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  await expect(describeModel(dir)).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  const path = await write('model.onnx', addModel(externalTensor('w', [2], { location: 'w.bin' })));
  await expect(describeModel(path)).rejects.toMatchObject({ code: 'MODEL_DATA_MISSING', params: { path: 'w.bin' } });
  await mkdir(join(dir, 'w.bin'));
  await expect(describeModel(path)).rejects.toMatchObject({ code: 'MODEL_INVALID' });
});

test('external data shorter than its tensors is told to be cut off', async () => {
  await write('w.bin', weights);
  const path = await write('model.onnx', addModel(externalTensor('w', [2], { location: 'w.bin', offset: '4', length: '8' })));
  await expect(describeModel(path)).rejects.toMatchObject({
    code: 'MODEL_INVALID',
    params: { detail: expect.stringContaining('cut off') },
  });
});

test.each<[string, 'input' | 'output', Bytes, string]>([
  ['text', 'input', tensorType(ELEMENT.string, [1]), 'string'],
  ['bfloat16', 'input', tensorType(ELEMENT.bfloat16, [1]), 'bfloat16'],
  ['an 8-bit float', 'output', tensorType(ELEMENT.float8e4m3fn, [1]), 'float8e4m3fn'],
  ['a type of the future', 'input', tensorType(99, [1]), 'type 99'],
  ['a sequence', 'output', bytes(4, bytes(1, tensorType(ELEMENT.float32))), 'sequence(tensor(float32))'],
  ['an optional', 'input', bytes(9, bytes(1, tensorType(ELEMENT.int64))), 'optional(tensor(int64))'],
  ['a map', 'output', bytes(5, int(1, 7), bytes(2, tensorType(ELEMENT.float32))), 'map(int64, tensor(float32))'],
  [
    'a sequence of maps',
    'output',
    bytes(4, bytes(1, bytes(5, int(1, 8), bytes(2, tensorType(ELEMENT.float32))))),
    'sequence(map(string, tensor(float32)))',
  ],
  ['a sparse tensor', 'input', bytes(8, int(1, 1)), 'sparse(tensor(float32))'],
])('%s as an edge is refused by name', async (_what, side, type, name) => {
  const edge = value('edge', type);
  const path = await write('model.onnx', model(graph(side === 'input' ? { inputs: [edge] } : { outputs: [edge] })));
  await expect(describeModel(path)).rejects.toMatchObject({ code: 'MODEL_VALUE_UNSUPPORTED', params: { side, name: 'edge', type: name } });
});

const nest = (depth: number): Bytes =>
  depth === 0 ? graph({}) : graph({ nodes: [node('If', [], [], graphAttribute('g', nest(depth - 1)))] });
const nestType = (depth: number): Bytes => (depth === 0 ? tensorType(1) : bytes(4, bytes(1, nestType(depth - 1))));

test.each<[string, Bytes, string]>([
  ['an empty file', new Uint8Array(0), 'no graph'],
  ['text', new TextEncoder().encode('{"not": "a model"}'), 'not an ONNX file'],
  ['a Git LFS pointer', new TextEncoder().encode('version https://git-lfs.github.com/spec/v1\noid sha256:00\n'), 'git lfs pull'],
  ['a file that is cut off', addModel(tensor('w', [2], [1, 2])).subarray(0, -20), 'cut off'],
  ['a length that lies', concat(int(1, 9), Uint8Array.of(58), varintOf(2n ** 62n)), 'cut off'],
  ['a number without an end', concat(Uint8Array.of(8), new Uint8Array(20).fill(255)), 'not an ONNX file'],
  ['a protobuf group', Uint8Array.of(11, 12), 'not an ONNX file'],
  ['two main graphs', concat(model(graph({})), bytes(7, graph({}))), 'two main graphs'],
  [
    'an attribute with two values',
    model(graph({ nodes: [node('If', [], [], concat(bytes(6, graph({})), bytes(6, graph({}))))] })),
    'two values',
  ],
  ['graphs nested without end', model(nest(40)), 'nested'],
  ['types nested without end', model(graph({ inputs: [value('x', nestType(12))] })), 'nested'],
  ['a nameless input', model(graph({ inputs: [value('', tensorType(1))] })), 'name of 0'],
  ['an input without a type', model(graph({ inputs: [value('x')] })), 'no type'],
  ['a name that is not UTF-8', model(graph({ inputs: [concat(bytes(1, Uint8Array.of(255, 254)), bytes(2, tensorType(1)))] })), 'UTF-8'],
  ['a name without end', model(graph({ inputs: [value('x'.repeat(5000), tensorType(1))] })), 'more than 4096'],
  ['a shape of many dimensions', model(graph({ inputs: [value('x', tensorType(1, Array(65).fill(1)))] })), '64 dimensions'],
  ['an offset that is no number', addModel(externalTensor('w', [2], { location: 'w', offset: '-1' })), 'malformed offset'],
  [
    'a location given twice',
    addModel(concat(externalTensor('w', [2], { location: 'w' }), bytes(13, text(1, 'location'), text(2, 'v')))),
    'twice',
  ],
])('%s is refused as MODEL_INVALID', async (_what, data, detail) => {
  const path = await write('model.onnx', data);
  await expect(describeModel(path)).rejects.toMatchObject({ code: 'MODEL_INVALID', params: { detail: expect.stringContaining(detail) } });
});

test('a file over the 2 GiB that protobuf can hold is refused unread', async () => {
  const path = await write('model.onnx', new Uint8Array(0));
  await truncate(path, 0x8000_0000);
  await expect(describeModel(path)).rejects.toMatchObject({ code: 'MODEL_INVALID', params: { detail: expect.stringContaining('2 GiB') } });
});

test('a model of many nodes is read through a small window', async () => {
  const nodes = Array.from({ length: 20_000 }, (_, at) => node('Identity', [`v${at}`], [`v${at + 1}`]));
  const edge = tensorType(ELEMENT.float32, [1]);
  const path = await write(
    'model.onnx',
    model(
      graph({
        nodes,
        initializers: [tensor('w', [100_000], Array(100_000).fill(1))],
        inputs: [value('v0', edge)],
        outputs: [value('v20000', edge)],
      }),
    ),
  );
  const { inputs, outputs } = await describeModel(path);
  expect([...inputs, ...outputs].map(({ name }) => name)).toEqual(['v0', 'v20000']);
});

test('a changed file gets a new digest, also where size and name stay', async () => {
  const path = await write('model.onnx', addModel(tensor('w', [2], [1, 2])));
  const old = new Date(Date.now() - 60_000);
  await utimes(path, old, old);
  const first = await describeModel(path);
  expect((await describeModel(path)).manifest).toEqual(first.manifest);
  await writeFile(path, addModel(tensor('w', [2], [1, 3])));
  const second = await describeModel(path);
  expect(modelDigest(second.manifest)).not.toBe(modelDigest(first.manifest));
  await write('other.onnx', addModel(tensor('w', [2], [1, 4])));
  await utimes(join(dir, 'other.onnx'), old, old);
  await rename(join(dir, 'other.onnx'), path);
  expect(modelDigest((await describeModel(path)).manifest)).not.toBe(modelDigest(first.manifest));
});

test('a damaged model gives a HearthlendError or a description, never anything else, and always ends', async () => {
  await write('w.bin', weights);
  const path = join(dir, 'model.onnx');
  const whole = model(
    graph({
      nodes: [
        node('Add', ['x', 'w'], ['y']),
        node('If', ['c'], ['r'], graphAttribute('then_branch', graph({ initializers: [tensor('a', [1], [1])] }))),
      ],
      initializers: [externalTensor('w', [2], { location: 'w.bin', offset: '0', length: '8' }), tensor('v', [3], [1, 2, 3])],
      inputs: [value('x', tensorType(ELEMENT.float32, ['n', 2])), value('c', tensorType(ELEMENT.bool, []))],
      outputs: [value('y', tensorType(ELEMENT.float32, ['n', 2])), value('r', bytes(9, bytes(1, tensorType(1))))],
    }),
    bytes(25, text(1, 'f'), bytes(7, node('Relu', ['a'], ['b']))),
  );
  const change = fc.tuple(fc.nat({ max: whole.byteLength - 1 }), fc.nat({ max: 255 }));
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 6 }), fc.option(fc.nat(), { nil: undefined }), async (changes, cut) => {
      const data = Uint8Array.from(cut === undefined ? whole : whole.subarray(0, cut % whole.byteLength));
      for (const [at, byte] of changes) if (at < data.byteLength) data[at] = byte;
      await writeFile(path, data);
      try {
        await describeModel(path);
      } catch (error) {
        expect(error).toBeInstanceOf(HearthlendError);
        expect((error as HearthlendError).code).toMatch(/^MODEL_/);
      }
    }),
    { numRuns: 1500 },
  );
});

function varintOf(value: bigint): Bytes {
  return int(1, value).subarray(1);
}

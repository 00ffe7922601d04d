import { createHash } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readDecoder } from '../../core/models/decoder.ts';
import { describeModel } from '../../core/models/describe.ts';
import { modelDigest } from '../../core/models/digest.ts';
import type { ShardTask } from '../../core/supervisor/supervisor.ts';
import {
  failure,
  float32,
  generateTask,
  practiceDecoder,
  runTask,
  storeModel,
  storePracticeModel,
  supervise,
  temporaryFolder,
  tokensOf,
} from '../core/supervisor/workbench.ts';
import { type DecoderShape, parametersOf, SMALL } from '../fixtures/decoder/decoder-shape.ts';
import { makeDecoder } from '../fixtures/decoder/make-decoder.ts';
import { openPlain, plainLoop } from '../fixtures/decoder/plain-loop.ts';
import { halfDecoder } from '../fixtures/onnx-models.ts';
import { model, node, tensor, value } from '../fixtures/onnx-writer.ts';

const smallConfig = {
  layers: SMALL.layers,
  keyValueHeads: SMALL.keyValueHeads,
  headSize: SMALL.headSize,
  maxPositions: SMALL.maxPositions,
};
const text = 'The quick brown fox';
const prompt = [0, ...Buffer.from(text)].map((byte) => byte % 250);

async function describe(path: string): Promise<ShardTask['model']> {
  const { manifest, files } = await describeModel(path);
  return { digest: modelDigest(manifest), manifest, files };
}

/** A decoder as it lies in its folder, with the sizes that its own config.json gives. */
async function makeTask(shape: Partial<DecoderShape>) {
  const folder = temporaryFolder();
  makeDecoder(folder, { ...SMALL, ...shape });
  const path = join(folder, 'onnx/model.onnx');
  return { path, stored: await describe(path), ...(await readDecoder(folder)) };
}

test.each<[string, Partial<DecoderShape>]>([
  ['with rotary tables inside its attention', {}],
  ['with rotary embeddings outside, by position ids', { rotary: 'outside' }],
  ['with rotary embeddings outside, by the length of its cache', { rotary: 'by-cache' }],
  ['in float16, its cache and logits too', { element: 'float16' }],
  ['in float16 with rotary embeddings outside', { element: 'float16', rotary: 'outside' }],
  ['that is told of how many tokens the logits are wanted', { logitsToKeep: true }],
])('a 4-bit decoder of grouped heads %s makes the tokens of a plain onnxruntime-node loop', async (_kind, shape) => {
  const { path, stored, decoder } = await makeTask(shape);
  const session = await openPlain(path, 1);
  const expected = await plainLoop(session, prompt, 230);
  await session.release();
  expect(new Set(expected).size).toBeGreaterThan(3);
  const supervisor = supervise();
  const task = generateTask(stored, prompt, { decoder, stopTokens: [], maxNewTokens: 230 });
  // The first time finds out how the cache may be kept, the second one knows it.
  for (const _run of ['first', 'second']) expect(tokensOf((await supervisor.run(task)).outputs)).toEqual(expected);
  const short = generateTask(stored, prompt, { decoder, stopTokens: [], maxNewTokens: 1 });
  expect(tokensOf((await supervisor.run(short)).outputs)).toEqual(expected.slice(0, 1));
});

test('a decoder of two branches, with ids of 32 bits, is told which of them each pass takes', async () => {
  const decoder = { layers: 1, keyValueHeads: 1, headSize: 1, maxPositions: 64 };
  const task = generateTask(storeModel(halfDecoder({ merged: true })), [2, 5, 11], { decoder, maxNewTokens: 12, stopTokens: [] });
  const expected = [(3 * 18 + 1) % 16];
  for (let sum = 18; expected.length < 12; ) {
    sum += expected.at(-1) as number;
    expected.push((3 * sum + 2) % 16);
  }
  expect(tokensOf((await supervise().run(task)).outputs)).toEqual(expected);
});

test('the fixture is a decoder of a few hundred thousand parameters, with the same bytes each time', () => {
  const digestOf = () => {
    const folder = temporaryFolder();
    makeDecoder(folder, SMALL);
    const hash = createHash('sha256');
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    for (const { parentPath, name } of files) hash.update(name).update(readFileSync(join(parentPath, name)));
    return hash.digest('hex');
  };
  expect(parametersOf(SMALL)).toBe(623_488);
  expect(digestOf()).toBe(digestOf());
});

test('a configuration that contradicts the graph, or a graph that asks for what is unknown, is refused by name', async () => {
  const supervisor = supervise();
  const { stored } = await makeTask({});
  const refusal = async (task: ShardTask) => {
    const { code, params } = await failure(supervisor.run(task));
    expect(code).toBe('MODEL_NOT_GENERATIVE');
    return params.detail;
  };
  expect(await refusal(generateTask(stored, prompt, { decoder: { ...smallConfig, keyValueHeads: 8 } }))).toBe(
    'its input past_key_values.0.key has 2 heads where its configuration says 8',
  );
  expect(await refusal(generateTask(stored, prompt, { decoder: { ...smallConfig, headSize: 64 } }))).toBe(
    'its input past_key_values.0.key has 16 values a head where its configuration says 64',
  );
  expect(await refusal(generateTask(stored, prompt, { decoder: { ...smallConfig, layers: 2 } }))).toBe(
    'it has 6 cache inputs where 2 layers need 4',
  );
  expect(await refusal(generateTask(await slidingDecoder(), prompt, { decoder: slidingConfig }))).toBe(
    `its output present.0.key is float32 [1, 1, 4, 2] where ${prompt.length} tokens make float32 [1, 1, ${prompt.length}, 2]`,
  );
});

const slidingConfig = { layers: 1, keyValueHeads: 1, headSize: 2, maxPositions: 64 };

/** A decoder that keeps the last four positions of its cache alone. */
async function slidingDecoder(): Promise<ShardTask['model']> {
  const cache = (name: string) => value(name, 'float32', ['batch', 1, `${name} length`, 2]);
  const bytes = model({
    nodes: [
      node('Cast', ['input_ids'], ['ids'], { to: 1 }),
      node('Reshape', ['ids', 'column'], ['new']),
      node('Concat', ['new', 'new'], ['pair'], { axis: 3 }),
      ...['key', 'value'].flatMap((part) => [
        node('Concat', [`past_key_values.0.${part}`, 'pair'], [`all.${part}`], { axis: 2 }),
        node('Slice', [`all.${part}`, 'from', 'to', 'axis'], [`present.0.${part}`]),
      ]),
      node('Reshape', ['pair', 'rows'], ['logits']),
    ],
    inputs: [value('input_ids', 'int64', ['batch', 'n']), cache('past_key_values.0.key'), cache('past_key_values.0.value')],
    outputs: [value('logits', 'float32', ['batch', 'n', 2]), cache('present.0.key'), cache('present.0.value')],
    constants: [
      tensor('column', 'int64', [4], BigInt64Array.of(1n, 1n, -1n, 1n)),
      tensor('rows', 'int64', [3], BigInt64Array.of(1n, -1n, 2n)),
      tensor('from', 'int64', [1], BigInt64Array.of(-4n)),
      tensor('to', 'int64', [1], BigInt64Array.of(1_000_000n)),
      tensor('axis', 'int64', [1], BigInt64Array.of(2n)),
    ],
  });
  const path = join(temporaryFolder(), 'model.onnx');
  writeFileSync(path, bytes);
  return describe(path);
}

test('memory stays flat over thousands of tokens of a cache that stays in place', async () => {
  const supervisor = supervise();
  const { stored, decoder } = await makeTask({});
  const resident: number[] = [];
  for (let round = 0; round < 18; round += 1) {
    const made = await supervisor.run(generateTask(stored, prompt, { decoder, stopTokens: [], maxNewTokens: 230 }));
    resident.push(made.residentBytes as number);
  }
  expect(Math.max(...resident.slice(12))).toBeLessThan(Math.max(...resident.slice(6, 12)) + 16 * 2 ** 20);
});

test('one worker keeps decoders of several kinds apart: each gets its cache in its own way', async () => {
  const supervisor = supervise();
  const grouped = await makeTask({});
  const ask = async (task: ShardTask) => tokensOf((await supervisor.run(task)).outputs);
  const first = generateTask(grouped.stored, prompt, { decoder: grouped.decoder, stopTokens: [], maxNewTokens: 20 });
  const second = generateTask(storePracticeModel(), [0, 71], { decoder: practiceDecoder, maxNewTokens: 20 });
  const [one, other] = [await ask(first), await ask(second)];
  expect([await ask(first), await ask(second)]).toEqual([one, other]);
});

test('weights beyond 2 GiB in their file are described, handed over and read', { timeout: 60_000 }, async () => {
  const folder = temporaryFolder();
  const offset = 2 ** 31 + 4096;
  const weights = Float32Array.of(1.5, -2);
  const data = openSync(join(folder, 'weights.bin'), 'w');
  ftruncateSync(data, offset + weights.byteLength);
  writeSync(data, weights, 0, weights.byteLength, offset);
  closeSync(data);
  const bytes = model({
    nodes: [node('Add', ['x', 'w'], ['y'])],
    inputs: [value('x', 'float32', ['n', 2])],
    outputs: [value('y', 'float32', ['n', 2])],
    constants: [tensor('w', 'float32', [2], { file: 'weights.bin', offset, length: weights.byteLength })],
  });
  writeFileSync(join(folder, 'model.onnx'), bytes);
  const stored = await describe(join(folder, 'model.onnx'));
  expect(stored.manifest.files.map((file) => file.bytes)).toEqual([bytes.byteLength, offset + weights.byteLength]);

  const supervisor = supervise({ modelMemoryBytes: 2 ** 32 });
  const made = await supervisor.run(runTask(stored, new Map([['x', float32([1, 2], [10, 20])]]), { memoryBytes: 2 ** 32 }));
  expect(Buffer.from(made.outputs).subarray(-8)).toEqual(Buffer.from(Float32Array.of(11.5, 18).buffer));
  rmSync(join(folder, 'weights.bin'));
});

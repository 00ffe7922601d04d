import { expect, test } from 'vitest';
import type { ModelValue } from '../../../core/contract/jobs.ts';
import { decodeSafetensors, encodeSafetensors } from '../../../core/contract/safetensors.ts';
import type { RunRequest } from '../../../core/jobs/remote.ts';
import { splitJob } from '../../../core/jobs/split.ts';

const request = (rows: number, width: number): RunRequest => ({
  kind: 'onnx.run',
  model: { manifest: { format: 'onnx', entry: 'm.onnx', files: [{ path: 'm.onnx', bytes: 1, digest: '0'.repeat(64) }] }, files: new Map() },
  inputs: encodeSafetensors(
    new Map([
      [
        'x',
        {
          type: 'uint8',
          shape: [rows, width],
          data: rows < 100 ? new Uint8Array(rows * width).map((_, at) => at) : new Uint8Array(rows * width),
        },
      ],
    ]),
  ),
  outputs: [],
  limits: { wallMs: 1, memoryBytes: 1, outputBytes: 1 },
  session: { intraOpThreads: 0, graphOptimization: 'all' },
});
const model = (dimension: string | number, output: string | number = dimension) => ({
  inputs: [{ name: 'x', type: 'uint8', shape: [dimension, 2] } satisfies ModelValue],
  outputs: [{ name: 'y', type: 'uint8', shape: [output] } satisfies ModelValue],
});

test('a batch goes out in as many parts as were asked for, each with its rows', () => {
  const { inputs, further } = splitJob(request(5, 2), model('rows'), 2);
  const parts = [inputs, ...(further ?? [])].map((part) => decodeSafetensors(part).get('x'));
  expect(parts.map((part) => part?.shape)).toEqual([
    [3, 2],
    [2, 2],
  ]);
  expect(parts.map((part) => [...(part?.data ?? [])])).toEqual([
    [0, 1, 2, 3, 4, 5],
    [6, 7, 8, 9],
  ]);
});

test('what is no batch is refused where parts were asked for, and left whole where they were not', () => {
  expect(() => splitJob(request(5, 2), model(5), 2)).toThrow('BATCH_UNSPLITTABLE');
  expect(() => splitJob(request(5, 2), model('batch', 7), 2)).toThrow('BATCH_UNSPLITTABLE');
  expect(() => splitJob(request(1, 2), model('batch'), 2)).toThrow('BATCH_UNSPLITTABLE');
  expect(splitJob(request(5, 2), model(5), null).further).toBeUndefined();
  expect(splitJob(request(5, 2), model('batch'), 1).further).toBeUndefined();
});

test('by itself only a large batch is split, and one that calls itself a batch', () => {
  expect(splitJob(request(64, 2), model('batch'), null).further).toBeUndefined();
  expect(splitJob(request(1 << 25, 2), model('sequence'), null).further).toBeUndefined();
  expect(splitJob(request(1 << 25, 2), model('batch_size'), null).further).toHaveLength(2);
});

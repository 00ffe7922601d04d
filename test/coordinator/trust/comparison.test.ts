import { describe, expect, test } from 'vitest';
import { compareOutputs } from '../../../coordinator/trust/comparison.ts';
import { judgeForced } from '../../../coordinator/trust/generation.ts';
import { startThresholds } from '../../../coordinator/trust/thresholds.ts';
import type { GenerateShard } from '../../../core/contract/shard.ts';
import type { Tensor, Tensors } from '../../../core/contract/tensor.ts';
import { float32, int64 } from '../workbench.ts';

const cpu = startThresholds({ claimed: 'cpu', reference: 'cpu' }, false);
const webgpu = startThresholds({ claimed: 'webgpu', reference: 'cpu' }, false);
const tolerance = (distance: number) => (type: string) => (type === 'float16' ? Math.max(distance, 1e-2) : distance);
const named = (tensor: Tensor): Tensors => new Map([['y', tensor]]);
const compare = (claimed: Tensor, reference: Tensor, inputs?: Tensors) =>
  compareOutputs(named(claimed), named(reference), { tolerance: tolerance(cpu.distance), ...(inputs && { inputs }) }).detail;
const half = (...bits: number[]): Tensor => ({
  type: 'float16',
  shape: [bits.length],
  data: new Uint8Array(Uint16Array.from(bits).buffer),
});

describe('comparing with the reference', () => {
  test('floats agree within their tolerance, row by row', () => {
    const rows = float32([100, 200, 0.1, 0.2], [2, 2]);
    expect(compare(rows, rows)).toBeUndefined();
    expect(compare(float32([100.001, 200, 0.1, 0.2], [2, 2]), rows)).toBeUndefined();
    expect(compare(float32([100.1, 200, 0.1, 0.2], [2, 2]), rows)).toContain('y differs by');
    // A row that is almost nothing is measured by the average one.
    expect(compare(float32([100, 200, 0.1001, 0.2], [2, 2]), rows)).toBeUndefined();
    const ones = (off?: number) =>
      float32(
        Array.from({ length: 2000 }, (_, index) => (index === off ? 1.001 : 1)),
        [1000, 2],
      );
    expect(compare(ones(7), ones())).toContain('y differs by');
    expect(compare(half(0x3c00, 0x4000), half(0x3c01, 0x4000))).toBeUndefined();
    expect(compare(half(0x3c00, 0x4000), half(0x3e00, 0x4000))).toContain('y differs by');
  });

  test('across backends floats may lie further apart, and everything else no further', () => {
    const across = (claimed: Tensor, reference: Tensor) =>
      compareOutputs(named(claimed), named(reference), { tolerance: tolerance(webgpu.distance) }).detail;
    expect(across(float32([1.0015, 1]), float32([1, 1]))).toBeUndefined();
    expect(compare(float32([1.0015, 1]), float32([1, 1]))).toContain('where 0.0001 is allowed');
    expect(across(float32([1.005, 1]), float32([1, 1]))).toContain('where 0.002 is allowed');
    expect(across(half(0x3c00, 0x4000), half(0x3c05, 0x4000))).toBeUndefined();
    expect(across(int64([1]), int64([2]))).toContain('from byte 0 on');
    expect(across(float32([Number.NaN]), float32([1]))).toContain('differs');
  });

  test('values that are not finite have to be the same ones', () => {
    expect(compare(float32([Number.NaN, 1]), float32([Number.NaN, 1]))).toBeUndefined();
    expect(compare(float32([Number.NaN, 1]), float32([1, 1]))).toContain('differs');
    expect(compare(float32([Number.POSITIVE_INFINITY]), float32([Number.NEGATIVE_INFINITY]))).toContain('differs');
    expect(compare(half(0x7c00), half(0x7e00))).toContain('differs');
    expect(compare(float32([0, -0]), float32([-0, 0]))).toBeUndefined();
  });

  test('whole numbers, types, shapes and names are exact', () => {
    expect(compare(int64([1, 2]), int64([1, 2]))).toBeUndefined();
    expect(compare(int64([1, 2]), int64([1, 3]))).toContain('from byte 8 on');
    expect(compare(int64([1, 2]), int64([1, 2], [2, 1]))).toContain('int64[2,1]');
    expect(compare(float32([1]), int64([1]))).toContain('float32[1] where int64[1]');
    const all = { tolerance: tolerance(1) };
    expect(compareOutputs(new Map(), named(int64([1])), all).detail).toContain('output y is missing');
    expect(compareOutputs(named(int64([1])), new Map(), all).detail).toContain("output y is not the model's");
    expect(compare(float32([], [0, 3]), float32([], [0, 3]))).toBeUndefined();
    expect(compare(float32([], [3, 0]), float32([], [3, 0]))).toBeUndefined();
    expect(compare(float32([2], []), float32([1], []))).toContain('y differs by');
  });

  test('what a stage hands on is measured by the change that the stage makes: its input, returned as it came, is no answer', () => {
    // A stage that changes its input by a hundred-thousandth: against the whole row, returning the input would pass.
    const x = float32([100, 200, 300, 400], [1, 4]);
    const y = float32([100.002, 200.002, 300, 400], [1, 4]);
    expect(compare(x, y)).toBeUndefined();
    expect(compare(x, y, new Map([['x', x]]))).toContain('y differs by');
    const other = float32([1, 2, 3, 4], [2, 2]);
    expect(compare(x, y, new Map([['of another shape', other]]))).toBeUndefined();
    const near = float32([104, 203, 309, 401], [1, 4]);
    const noisy = float32([104.0001, 203, 309, 401], [1, 4]);
    expect(compare(noisy, near, new Map([['x', x]]))).toBeUndefined();
    // One that hands its input on by design is measured against the row.
    expect(compare(x, x, new Map([['x', x]]))).toBeUndefined();
  });

  test('indices may point at values that are as good, and at no others', () => {
    const values = float32([0.1, 0.9, 0.90000001, 0.3, 5, 4, 3, 2], [2, 4]);
    const indices = new Map([['y', values]]);
    const pick = (claimed: Tensor, reference: Tensor) =>
      compareOutputs(named(claimed), named(reference), { tolerance: tolerance(cpu.distance), indices }).detail;
    expect(pick(int64([1, 0]), int64([2, 0]))).toBeUndefined();
    expect(pick(int64([3, 0]), int64([2, 0]))).toContain('no near-tie');
    expect(pick(int64([2, 1]), int64([2, 0]))).toContain('points at 1 where 0 was computed');
    expect(pick(int64([4, 0]), int64([2, 0]))).toContain('where 4 values are');
    expect(pick(int64([1, 2, 0, 1], [2, 2]), int64([2, 1, 0, 1], [2, 2]))).toBeUndefined();
    expect(pick(int64([1, 1, 0, 1], [2, 2]), int64([2, 1, 0, 1], [2, 2]))).toContain('points at 1');
    expect(compare(int64([1, 0]), int64([2, 0]))).toContain('from byte 0 on');
  });
});

describe('judging a generation by a pass over it', () => {
  const shard = {
    kind: 'onnx.generate',
    sampling: { method: 'sample', seed: '0'.repeat(16), temperature: 1, topK: 0, topP: 1 },
  } as unknown;
  const judge = (tokens: number[], drawn: number[], shift: number[], thresholds = cpu) =>
    judgeForced(
      shard as GenerateShard,
      new Map([['tokens', int64(tokens)]]),
      new Map<string, Tensor>([
        ['drawn', int64(drawn)],
        ['shift', { type: 'float64', shape: [shift.length], data: new Uint8Array(Float64Array.from(shift).buffer) }],
      ]),
      thresholds,
    );

  test('a token may be another than is drawn where its interval almost holds the draw, and nowhere else', () => {
    expect(judge([1, 2, 3], [1, 2, 3], [0, 0, 0])).toEqual({ type: 'agrees' });
    expect(judge([1, 2, 3], [1, 9, 3], [0, 9e-5, 0])).toEqual({ type: 'agrees' });
    expect(judge([1, 2, 3], [1, 9, 3], [0, 2e-4, 0])).toMatchObject({
      type: 'differs',
      detail: expect.stringContaining('token 1 is 2 where 9'),
    });
    expect(judge([1, 2, 3], [1, 9, 3], [0, 1.9e-3, 0], webgpu)).toEqual({ type: 'agrees' });
    expect(judge([1, 2], [1, 9], [0, Number.POSITIVE_INFINITY], webgpu)).toMatchObject({ detail: expect.stringContaining('ruled out') });
  });

  test('more near-ties than chance makes are not decided here', () => {
    const tokens = Array.from({ length: 40 }, (_, at) => at);
    expect(
      judge(
        tokens,
        tokens.map((at) => at + 1),
        tokens.map(() => 1e-5),
      ),
    ).toMatchObject({ type: 'undecided' });
    expect(() => judge([1, 2], [1], [0, 0])).toThrow(expect.objectContaining({ code: 'TENSOR_INVALID' }));
  });
});

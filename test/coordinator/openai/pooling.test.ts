import { expect, test } from 'vitest';
import { poolTexts } from '../../../coordinator/openai/pooling.ts';
import { float32 } from '../workbench.ts';

const tokens = float32([1, 2, 3, 4, 100, 100, 5, 6, 7, 8, 9, 10], [2, 3, 2]);
const pool = (pooling: 'none' | 'mean' | 'cls', normalize = false, tensor = tokens, lengths = [2, 3]) =>
  poolTexts(tensor, lengths, { output: 'y', pooling, normalize }).map((vector) => [...vector]);

test('a text’s vector is the mean of its tokens, or its first token’s, or what the graph gives', () => {
  expect(pool('mean')).toEqual([
    [2, 3],
    [7, 8],
  ]);
  expect(pool('cls')).toEqual([
    [1, 2],
    [5, 6],
  ]);
  expect(pool('none', false, float32([1, 2, 3, 4], [2, 2]))).toEqual([
    [1, 2],
    [3, 4],
  ]);
});

test('normalized vectors have the length 1', () => {
  expect(pool('none', true, float32([3, 4], [1, 2]), [1])[0]?.map((value) => Math.round(value * 1e6) / 1e6)).toEqual([0.6, 0.8]);
  expect(pool('none', true, float32([0, 0], [1, 2]), [1])).toEqual([[0, 0]]);
});

test('half precision is read as what it stands for', () => {
  const halves = new Uint8Array(Uint16Array.from([0x3c00, 0xc000, 0x3555, 0x0001]).buffer);
  const [vector] = pool('none', false, { type: 'float16', shape: [1, 4], data: halves }, [1]);
  expect(vector).toEqual([1, -2, Math.fround(0.333251953125), Math.fround(2 ** -24)]);
});

test('vectors of another form, or that are no numbers, are refused by name', () => {
  expect(() => pool('mean', false, float32([1, 2], [1, 2]))).toThrow('MODEL_NO_EMBEDDING');
  expect(() => pool('mean', false, float32([1, Number.NaN], [1, 1, 2]), [1])).toThrow('OUTPUT_NOT_FINITE');
});

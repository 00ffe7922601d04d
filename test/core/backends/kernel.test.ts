import fc from 'fast-check';
import { expect, test } from 'vitest';
import { distanceOf, kernelInput, kernelModel } from '../../../core/backends/kernel.ts';
import { model, node, tensor, value } from '../../fixtures/onnx-writer.ts';

/** Numbers that look random and are the same each time, in [-1, 1). */
function noise(count: number, seed: number): Float32Array {
  let state = seed * 2654435761 + 1;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

test('the kernel in the program is what the writer of models writes', () => {
  const written = model({
    nodes: [
      node('MatMul', ['x', 'w'], ['m']),
      node('Add', ['m', 'b'], ['a']),
      node('Tanh', ['a'], ['t']),
      node('Mul', ['t', 't'], ['s']),
      node('Softmax', ['s'], ['y'], { axis: 1 }),
    ],
    inputs: [value('x', 'float32', [64, 16])],
    outputs: [value('y', 'float32', [64, 16])],
    constants: [tensor('w', 'float32', [16, 16], noise(256, 1)), tensor('b', 'float32', [16], noise(16, 2))],
  });
  expect(Buffer.from(kernelModel()).equals(Buffer.from(written))).toBe(true);
  expect(kernelInput().values.length).toBe(64 * 16);
});

test('the distance of two answers is none to itself, grows with the error, and is infinite to what is no answer', () => {
  const numbers = fc.array(fc.float({ min: Math.fround(0.1), max: 10, noNaN: true }), { minLength: 1, maxLength: 64 });
  fc.assert(
    fc.property(numbers, (list) => {
      const answer = Float32Array.from(list);
      const twice = answer.map((each) => 2 * each);
      return distanceOf(answer, answer) === 0 && Math.abs(distanceOf(twice, answer) - 1) < 1e-6;
    }),
  );
  for (const wrong of [[], [1], [Number.NaN, 1], [Number.POSITIVE_INFINITY, 1]]) {
    expect(distanceOf(Float32Array.from(wrong), Float32Array.of(1, 1))).toBe(Number.POSITIVE_INFINITY);
  }
});

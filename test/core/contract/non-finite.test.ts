import fc from 'fast-check';
import { expect, test } from 'vitest';
import { findNonFinite } from '../../../core/contract/non-finite.ts';

const bytesOf = (array: Float32Array | Float64Array | Uint16Array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
const judged = (value: number) => (Number.isNaN(value) ? 'nan' : Number.isFinite(value) ? null : 'infinite');
const first = (values: ArrayLike<number>) =>
  Array.from(values)
    .map(judged)
    .find((found) => found !== null) ?? null;

test('floats and doubles are what JavaScript takes them for, wherever they lie', () => {
  const values = fc.array(fc.oneof(fc.double(), fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY)));
  fc.assert(
    fc.property(values, fc.boolean(), (given, odd) => {
      for (const [type, array] of [
        ['float32', Float32Array.from(given)],
        ['float64', Float64Array.from(given)],
      ] as const) {
        const shifted = new Uint8Array(array.byteLength + 1);
        shifted.set(bytesOf(array), 1);
        expect(findNonFinite(type, odd ? shifted.subarray(1) : bytesOf(array))).toBe(first(array));
      }
    }),
  );
});

test('each of the 65,536 half floats is told right', () => {
  for (let bits = 0; bits < 65_536; bits += 1) {
    const exponent = (bits >> 10) & 0x1f;
    const expected = exponent < 31 ? null : (bits & 0x3ff) === 0 ? 'infinite' : 'nan';
    expect(findNonFinite('float16', bytesOf(Uint16Array.of(0x3c00, bits)))).toBe(expected);
  }
});

test('a double with nothing but its lowest bit beside the exponent is no number', () => {
  const array = Float64Array.of(0);
  new DataView(array.buffer).setBigUint64(0, 0x7ff0_0000_0000_0001n, true);
  expect(findNonFinite('float64', bytesOf(array))).toBe('nan');
});

test('whole numbers are finite, whatever their bits', () => {
  for (const type of ['int32', 'uint8', 'bool', 'int64'] as const) expect(findNonFinite(type, new Uint8Array(16).fill(0xff))).toBeNull();
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeSafetensors, encodeSafetensors } from '../../../core/contract/safetensors.ts';
import { elementCount, TENSOR_TYPES, type Tensor, type Tensors, type TensorType } from '../../../core/contract/tensor.ts';

const tensor = fc
  .tuple(fc.constantFrom(...(Object.keys(TENSOR_TYPES) as TensorType[])), fc.array(fc.nat({ max: 5 }), { maxLength: 4 }))
  .chain(([type, shape]) => {
    const length = elementCount(shape) * TENSOR_TYPES[type].bytes;
    return fc.uint8Array({ minLength: length, maxLength: length }).map((data): Tensor => ({ type, shape, data }));
  });
const tensors = fc
  .uniqueArray(fc.tuple(fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('0', '1', 'constructor', '__proto__')), tensor), {
    maxLength: 8,
    selector: ([name]) => name,
  })
  .map((entries): Tensors => new Map(entries.filter(([name]) => name !== '__metadata__')));

test('tensors come out as they went in, by name', () => {
  fc.assert(
    fc.property(tensors, (sent) => {
      const received = decodeSafetensors(encodeSafetensors(sent));
      expect(new Set(received.keys())).toEqual(new Set(sent.keys()));
      for (const [name, { type, shape, data }] of sent) expect(received.get(name)).toEqual({ type, shape, data });
    }),
  );
});

test('data starts at a multiple of 8, and tensors are views, not copies', () => {
  fc.assert(
    fc.property(tensors, (sent) => {
      const blob = encodeSafetensors(sent);
      expect(new DataView(blob.buffer).getBigUint64(0, true) % 8n).toBe(0n);
      for (const { data } of decodeSafetensors(blob).values()) expect(data.buffer).toBe(blob.buffer);
    }),
  );
});

test('the bytes are those that the format prescribes', () => {
  const blob = encodeSafetensors(
    new Map<string, Tensor>([
      ['b', { type: 'int64', shape: [], data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) }],
      ['a', { type: 'float16', shape: [2, 1], data: Uint8Array.of(9, 10, 11, 12) }],
    ]),
  );
  const header = '{"b":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"a":{"dtype":"F16","shape":[2,1],"data_offsets":[8,12]}}'.padEnd(
    112,
    ' ',
  );
  const expected = Buffer.concat([
    Buffer.from([112, 0, 0, 0, 0, 0, 0, 0]),
    Buffer.from(header),
    Buffer.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
  ]);
  expect(Buffer.from(blob)).toEqual(expected);
});

function blobOf(header: unknown, data: Uint8Array, headerBytes?: bigint): Uint8Array {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(headerBytes ?? BigInt(json.length));
  return new Uint8Array(Buffer.concat([length, json, data]));
}
const u8 = (shape: unknown, data_offsets: unknown, dtype = 'U8') => ({ dtype, shape, data_offsets });
const data = new Uint8Array(8);

test.each([
  ['is empty', new Uint8Array(0)],
  ['is shorter than its length field', new Uint8Array(7)],
  ['has a header that runs past its end', blobOf({}, data, 1000n)],
  ['has a header of 2^63 bytes', blobOf({}, data, 2n ** 63n)],
  ['has a header that is no JSON', blobOf('{"a"', data)],
  ['has a header that is a list', blobOf([], data)],
  ['has an entry that is no object', blobOf({ a: 7 }, data)],
  ['has a shape that its data does not fill', blobOf({ a: u8([9], [0, 8]) }, data)],
  ['has a negative dimension', blobOf({ a: u8([-8], [0, 8]) }, data)],
  ['has a fractional dimension', blobOf({ a: u8([0.5], [0, 8]) }, data)],
  ['has dimensions whose product overflows', blobOf({ a: u8([2 ** 40, 2 ** 40], [0, 8]) }, data)],
  ['has offsets the wrong way round', blobOf({ a: u8([8], [8, 0]) }, data)],
  ['has data past its end', blobOf({ a: u8([16], [0, 16]) }, data)],
  ['has data that nothing names', blobOf({ a: u8([4], [0, 4]) }, data)],
  ['has a gap', blobOf({ a: u8([2], [0, 2]), b: u8([4], [4, 8]) }, data)],
  ['has tensors that overlap', blobOf({ a: u8([5], [0, 5]), b: u8([4], [4, 8]) }, data)],
  ['has 33 dimensions', blobOf({ a: u8(Array(33).fill(1), [0, 1]) }, new Uint8Array(1))],
])('a blob that %s is refused', (_what, blob) => {
  expect(() => decodeSafetensors(blob)).toThrow(/TENSOR_INVALID/);
});

test.each(['BF16', 'F8_E4M3', 'F8_E5M2', 'C64', 'float32'])('the type %s is refused by name', (dtype) => {
  const refused = () => decodeSafetensors(blobOf({ weights: u8([4], [0, 8], dtype) }, data));
  expect(refused).toThrow(`TENSOR_TYPE_UNSUPPORTED {"name":"weights","type":"${dtype}"}`);
});

test('metadata is passed over, and is no name for a tensor', () => {
  const blob = blobOf({ __metadata__: { format: 'pt' }, a: u8([8], [0, 8]) }, data);
  expect([...decodeSafetensors(blob).keys()]).toEqual(['a']);
  expect(() => encodeSafetensors(new Map([['__metadata__', { type: 'uint8', shape: [1], data: new Uint8Array(1) }]]))).toThrow(
    /TENSOR_INVALID/,
  );
});

test('a tensor whose bytes do not fit its shape is not written', () => {
  expect(() => encodeSafetensors(new Map([['a', { type: 'int32', shape: [2], data: new Uint8Array(7) }]]))).toThrow(/TENSOR_INVALID/);
});

test('no bytes whatever make it throw anything but its own errors', () => {
  const lies = fc.tuple(fc.jsonValue({ maxDepth: 3 }), fc.uint8Array({ maxLength: 40 })).map(([header, rest]) => blobOf(header, rest));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 100 }), lies), (blob) => {
      try {
        decodeSafetensors(blob);
      } catch (error) {
        expect((error as { code: string }).code).toMatch(/^TENSOR_/);
      }
    }),
  );
});

import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { type Zippable, zipSync } from 'fflate';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { HearthlendError } from '../../../core/contract/errors.ts';
import { describeError } from '../../../core/contract/messages.ts';
import { elementCount, TENSOR_TYPES, type Tensor, type Tensors, type TensorType } from '../../../core/contract/tensor.ts';
import { decodeNpy, encodeNpyPrefix } from '../../../core/jobs/npy.ts';
import { decodeNpz, readNpz, writeNpz } from '../../../core/jobs/npz.ts';

const fixture = (name: string): string => join(import.meta.dirname, '../../fixtures/npz', name);
const MAX = 1 << 28;
const types = Object.keys(TENSOR_TYPES) as TensorType[];

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hearthlend-npz-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const npy = (tensor: Tensor): Uint8Array => Buffer.concat([encodeNpyPrefix(tensor), tensor.data]);
const withHeader = (header: string, data = new Uint8Array(0)): Uint8Array => {
  const head = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, 0, 0]);
  head.writeUInt16LE(header.length, 8);
  return Buffer.concat([head, Buffer.from(header, 'latin1'), data]);
};
const numbers = (tensor: Tensor | undefined): number[] => {
  if (tensor?.type === 'int32') return [...new Int32Array(Uint8Array.from(tensor.data).buffer)];
  if (tensor?.type === 'float64') return [...new Float64Array(Uint8Array.from(tensor.data).buffer)];
  if (tensor?.type === 'uint16') return [...new Uint16Array(Uint8Array.from(tensor.data).buffer)];
  return [...new Int16Array(Uint8Array.from(tensor?.data ?? []).buffer)];
};

test.each(['types.npz', 'compressed.npz'])(
  'every carried type, scalars, empty arrays and odd names of %s are read as NumPy wrote them',
  async (name) => {
    const tensors = await readNpz(fixture(name), MAX);
    expect([...tensors.keys()]).toEqual([
      ...['bool', 'uint8', 'int8', 'uint16', 'int16', 'float16', 'uint32', 'int32', 'float32', 'uint64', 'int64', 'float64'],
      ...['scalar', 'empty', 'present.0.key', 'encoder/layer_1/out', 'logits:0', 'größe 寸'],
    ]);
    for (const type of types) expect(tensors.get(type)).toMatchObject({ type, shape: [2, 3] });
    expect(tensors.get('bool')?.data).toEqual(Uint8Array.of(0, 1, 1, 1, 1, 1));
    expect(numbers(tensors.get('int32'))).toEqual([0, 1, 2, 3, 100, 1]);
    expect(numbers(tensors.get('float64'))).toEqual([0, 1, 2, 3, 100, 1]);
    expect(tensors.get('float16')?.data).toEqual(Uint8Array.of(0, 0, 0, 0x3c, 0, 0x40, 0, 0x42, 0x40, 0x56, 0, 0x3c));
    expect(tensors.get('scalar')).toEqual({ type: 'float32', shape: [], data: Uint8Array.of(0, 0, 0xc0, 0x3f) });
    expect(tensors.get('empty')).toEqual({ type: 'int64', shape: [0, 3], data: new Uint8Array(0) });
  },
);

test('big-endian and Fortran-ordered arrays are turned round', async () => {
  const tensors = await readNpz(fixture('orders.npz'), MAX);
  const counted = Array.from({ length: 24 }, (_, at) => at);
  expect(tensors.get('big')).toMatchObject({ type: 'int32', shape: [2, 3, 4] });
  expect(numbers(tensors.get('big'))).toEqual(counted);
  expect(numbers(tensors.get('fortran'))).toEqual(counted);
  expect(numbers(tensors.get('both'))).toEqual(counted);
  expect(numbers(tensors.get('line'))).toEqual([0, 1, 2]);
});

test.each([1, 2, 3])('format version %i of .npy is read', async (version) => {
  const tensor = decodeNpy(await readFile(fixture(`version${version}.npy`)), 'x', 'x.npz');
  expect(tensor).toMatchObject({ type: 'int16', shape: [3] });
  expect(numbers(tensor)).toEqual([1, -2, 3]);
});

test.each([
  ['string.npy', 'string (<U2)'],
  ['bytes.npy', 'bytes (|S2)'],
  ['object.npy', 'object (|O)'],
  ['record.npy', 'record (a structured dtype)'],
  ['complex.npy', 'complex (<c8)'],
  ['datetime.npy', 'datetime64 (<M8[D])'],
  ['longdouble.npy', '<f16'],
  ['void.npy', 'void (|V2)'],
])('%s is refused by the name of its type', async (file, type) => {
  const archive = zipSync({ 'x.npy': await readFile(fixture(file)) });
  expect(() => decodeNpz(archive, MAX, 'in.npz')).toThrow(
    expect.objectContaining({ code: 'TENSOR_TYPE_UNSUPPORTED', params: { name: 'x', type } }),
  );
});

test('what is written is read back the same: names, types, shapes and bytes', async () => {
  const tensor = fc.tuple(fc.constantFrom(...types), fc.array(fc.nat({ max: 4 }), { maxLength: 5 })).chain(([type, shape]) =>
    fc
      .uint8Array({
        minLength: elementCount(shape) * TENSOR_TYPES[type].bytes,
        maxLength: elementCount(shape) * TENSOR_TYPES[type].bytes,
      })
      .map((data): Tensor => ({ type, shape, data })),
  );
  const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }).filter((text) => !text.includes('\0'));
  const path = join(dir, 'out.npz');
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(name, tensor), { maxLength: 6 }), async (entries) => {
      const tensors: Tensors = new Map(entries);
      const bytes = await writeNpz(path, tensors);
      expect(bytes).toBe((await readFile(path)).byteLength);
      const back = await readNpz(path, MAX);
      expect([...back.keys()]).toEqual([...tensors.keys()]);
      for (const [key, { type, shape, data }] of tensors) {
        expect(back.get(key)).toMatchObject({ type, shape });
        expect(Buffer.compare(back.get(key)?.data ?? new Uint8Array(1), data)).toBe(0);
      }
    }),
    { numRuns: 150 },
  );
});

test('the same tensors are written as the same bytes', async () => {
  const tensors: Tensors = new Map([['a', { type: 'int8', shape: [2], data: Uint8Array.of(1, 2) }]]);
  await writeNpz(join(dir, 'a.npz'), tensors);
  await writeNpz(join(dir, 'b.npz'), tensors);
  expect(await readFile(join(dir, 'a.npz'))).toEqual(await readFile(join(dir, 'b.npz')));
});

test('an .npz that can not be written leaves nothing behind, and an older one stays', async () => {
  const path = join(dir, 'out.npz');
  await writeFile(path, 'before');
  const bad: Tensors = new Map([
    ['good', { type: 'int8', shape: [1], data: Uint8Array.of(1) }],
    ['bad', { type: 'int8', shape: [2], data: Uint8Array.of(1) }],
  ]);
  await expect(writeNpz(path, bad)).rejects.toMatchObject({ code: 'TENSOR_INVALID' });
  await expect(writeNpz(path, new Map([['a\0b', { type: 'int8', shape: [0], data: new Uint8Array(0) }]]))).rejects.toMatchObject({
    code: 'TENSOR_INVALID',
  });
  expect(await readFile(path, 'utf8')).toBe('before');
  expect(await readdir(dir)).toEqual(['out.npz']);
  await expect(writeNpz(join(dir, 'none', 'out.npz'), new Map())).rejects.toMatchObject({ code: 'FILE_UNWRITABLE' });
});

const zeros = { 'a.npy': npy({ type: 'uint8', shape: [1000], data: new Uint8Array(1000) }) };
const archiveOf = (files: Zippable): Buffer => Buffer.from(zipSync(files));

test.each<[string, () => Uint8Array, string]>([
  ['nothing at all', () => new Uint8Array(0), 'not a zip archive'],
  ['text', () => Buffer.from('hello '.repeat(100)), 'not a zip archive'],
  ['a single .npy array', () => npy({ type: 'uint8', shape: [], data: Uint8Array.of(1) }), 'a single .npy array'],
  ['an archive that was cut off', () => archiveOf(zeros).subarray(0, -30), 'not a zip archive'],
  ['a file that is no array', () => archiveOf({ 'readme.txt': new Uint8Array(3) }), 'no .npy array'],
  ['a nameless array', () => archiveOf({ '.npy': zeros['a.npy'] }), 'name of 0'],
  ['two arrays of one name', () => twice(), 'twice'],
  ['one flipped bit in a stored array', () => flip(archiveOf({ 'a.npy': [zeros['a.npy'], { level: 0 }] }), 300), 'damaged in a.npy'],
  ['one flipped bit in a packed array', () => flip(archiveOf(zeros), 50), 'damaged in a.npy'],
  ['an encrypted array', () => patchDirectory(archiveOf(zeros), 8, [1, 0]), 'encrypted'],
  ['an unknown packing method', () => patchDirectory(archiveOf(zeros), 10, [93, 0]), 'method 93'],
  ['more unpacked than announced', () => patchDirectory(archiveOf(zeros), 24, [10, 0, 0, 0]), 'damaged in a.npy'],
  ['less unpacked than announced', () => patchDirectory(archiveOf(zeros), 24, [255, 255, 0, 0]), 'damaged in a.npy'],
  ['a directory that lies outside', () => patchEnd(archiveOf(zeros), 16, [255, 255, 255, 0]), 'damaged directory'],
  ['zip64 sizes without their field', () => patchDirectory(archiveOf(zeros), 20, [255, 255, 255, 255]), 'damaged directory'],
  ['more files than any model has inputs', () => patchEnd(archiveOf(zeros), 10, [0, 255]), 'more than 4096'],
])('%s is refused as NPZ_INVALID', (_what, bytes, detail) => {
  const thrown = catchError(() => decodeNpz(bytes(), MAX, 'in.npz'));
  expect(thrown).toMatchObject({ code: 'NPZ_INVALID', params: { path: 'in.npz', detail: expect.stringContaining(detail) } });
  expect(describeError(thrown).what).toContain('in.npz');
});

test.each<[string, string]>([
  ['a shape that is no tuple', "{'descr': '<f4', 'fortran_order': False, 'shape': (3), }"],
  ['a negative size', "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }"],
  ['a missing field', "{'descr': '<f4', 'shape': (3,), }"],
  ['a field too many', "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'x': 1}"],
  ['a field twice', "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (3,)}"],
  ['code', "__import__('os').system('id')"],
  ['an endless list', "{'descr': [[[[[[[[[[[[[[[[["],
  ['something behind it', "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)} x"],
  ['nothing', ''],
])('an .npy header with %s is refused', (_what, header) => {
  expect(() => decodeNpy(withHeader(header, new Uint8Array(12)), 'x', 'in.npz')).toThrow(
    expect.objectContaining({
      code: 'NPZ_INVALID',
      params: expect.objectContaining({ detail: expect.stringContaining('malformed header') }),
    }),
  );
});

test('headers of old programs, with Python 2 numbers and other spacing, are read', () => {
  const header = '{"shape":(2L, 1L),"fortran_order":False,\n "descr":"<i2"}\n';
  expect(decodeNpy(withHeader(header, Uint8Array.of(1, 0, 2, 0)), 'x', 'in.npz')).toMatchObject({ type: 'int16', shape: [2, 1] });
});

test('data that disagrees with its shape is refused, before anything is allocated for it', () => {
  for (const shape of ['(4,)', '(2,)', '(4000000000, 4000000000)', `(${'1, '.repeat(33)})`]) {
    const header = `{'descr': '<f4', 'fortran_order': True, 'shape': ${shape}, }`;
    expect(() => decodeNpy(withHeader(header, new Uint8Array(12)), 'x', 'in.npz')).toThrow(
      expect.objectContaining({ code: 'NPZ_INVALID' }),
    );
  }
});

test('an archive that unpacks to more than is allowed is refused before it is unpacked', () => {
  const bomb = archiveOf({ 'a.npy': npy({ type: 'uint8', shape: [50_000_000], data: new Uint8Array(50_000_000) }) });
  expect(bomb.byteLength).toBeLessThan(100_000);
  expect(() => decodeNpz(bomb, 1_000_000, 'in.npz')).toThrow(expect.objectContaining({ code: 'TENSOR_TOO_LARGE' }));
  const lying = patchDirectory(bomb, 24, [0, 16, 0, 0]);
  expect(() => decodeNpz(lying, 1_000_000, 'in.npz')).toThrow(expect.objectContaining({ code: 'NPZ_INVALID' }));
});

test('a damaged archive gives a HearthlendError or what was in it, never anything else', async () => {
  const whole = await readFile(fixture('compressed.npz'));
  const stored = await readFile(fixture('types.npz'));
  fc.assert(
    fc.property(
      fc.constantFrom(whole, stored),
      fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 8 }),
      fc.option(fc.nat(), { nil: undefined, freq: 4 }),
      (archive, changes, cut) => {
        const bytes = Uint8Array.from(cut === undefined ? archive : archive.subarray(0, cut % archive.byteLength));
        // Half of the changes go where the structure is: the directory at the end.
        for (const [at, value] of changes)
          bytes[at % 2 === 0 ? at % bytes.byteLength : Math.max(0, bytes.byteLength - 1 - (at % 1800))] = value;
        try {
          decodeNpz(bytes, 1 << 20, 'in.npz');
        } catch (error) {
          expect(error).toBeInstanceOf(HearthlendError);
        }
      },
    ),
    { numRuns: 3000 },
  );
});

test('a file that is not there or too large is told apart from a bad one', async () => {
  await expect(readNpz(join(dir, 'none.npz'), MAX)).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
  await writeFile(join(dir, 'huge.npz'), '');
  await truncate(join(dir, 'huge.npz'), 200 << 20);
  await expect(readNpz(join(dir, 'huge.npz'), 1 << 20)).rejects.toMatchObject({ code: 'TENSOR_TOO_LARGE' });
});

function catchError(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    return error;
  }
}

function flip(bytes: Buffer, at: number): Uint8Array {
  bytes[at] = (bytes[at] as number) ^ 1;
  return bytes;
}

/** Changes bytes of the first central directory entry. */
function patchDirectory(bytes: Buffer, at: number, values: number[]): Uint8Array {
  const copy = Buffer.from(bytes);
  copy.set(values, copy.indexOf(Buffer.from([0x50, 0x4b, 1, 2])) + at);
  return copy;
}

function patchEnd(bytes: Buffer, at: number, values: number[]): Uint8Array {
  const copy = Buffer.from(bytes);
  copy.set(values, copy.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6])) + at);
  return copy;
}

/** fflate keys by name, so the second name is patched to the first. */
function twice(): Uint8Array {
  const copy = archiveOf({ 'a.npy': zeros['a.npy'], 'b.npy': zeros['a.npy'] });
  for (let at = copy.indexOf('b.npy'); at >= 0; at = copy.indexOf('b.npy', at)) copy.set(Buffer.from('a.npy'), at);
  return copy;
}

import { HearthlendError } from '../contract/errors.ts';
import { elementCount, TENSOR_TYPES, type Tensor, type TensorType } from '../contract/tensor.ts';
import { type NpyHeader, parseNpyHeader } from './npy-header.ts';

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
/** NumPy refuses more than 10,000 unless told otherwise; structured types need more, and those are refused by name. */
const MAX_HEADER_BYTES = 1 << 16;
/** As many as a safetensors header may list. */
const MAX_DIMENSIONS = 32;
/** NumPy pads so that the data starts at a multiple of this. */
const ALIGNMENT = 64;

/** What NumPy calls the types that can't be carried, by the kind letter of its type strings. Source: numpy.org/doc/stable/reference/arrays.interface.html */
const KINDS: Record<string, string> = {
  O: 'object',
  S: 'bytes',
  a: 'bytes',
  U: 'string',
  T: 'string',
  V: 'void',
  c: 'complex',
  M: 'datetime64',
  m: 'timedelta64',
};

/** Whether some bytes begin as an .npy array does. */
export function isNpy(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, at) => bytes[at] === byte);
}

/**
 * Reads one .npy array of format 1.0, 2.0 or 3.0. Where it is little-endian and in C order the tensor is a view into `bytes`; big-endian and
 * Fortran order are turned round into a copy. Source: numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 * @param name the array's, for errors
 * @throws NPZ_INVALID, TENSOR_TYPE_UNSUPPORTED for text, objects, records, complex numbers, dates and long doubles
 */
export function decodeNpy(bytes: Uint8Array, name: string, path: string): Tensor {
  const invalid = (detail: string) => new HearthlendError('NPZ_INVALID', { path, detail: `the array ${name} ${detail}` });
  if (!isNpy(bytes) || bytes.byteLength < 10) throw invalid('is not in .npy format');
  const [major, minor] = [bytes[6] as number, bytes[7] as number];
  if (minor !== 0 || major < 1 || major > 3) throw invalid(`has the unknown .npy version ${major}.${minor}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerStart = major === 1 ? 10 : 12;
  if (bytes.byteLength < headerStart) throw invalid('is cut off');
  const headerBytes = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (headerBytes > MAX_HEADER_BYTES) throw invalid(`has a header of ${headerBytes} bytes`);
  const dataStart = headerStart + headerBytes;
  if (dataStart > bytes.byteLength) throw invalid('is cut off');
  const header = parseNpyHeader(decodeHeader(bytes.subarray(headerStart, dataStart), major));
  if (header === undefined) throw invalid('has a malformed header');

  const { type, bigEndian } = elementType(header, name);
  if (header.shape.length > MAX_DIMENSIONS) throw invalid(`has ${header.shape.length} dimensions, more than ${MAX_DIMENSIONS}`);
  const needed = elementCount(header.shape) * TENSOR_TYPES[type].bytes;
  const data = bytes.subarray(dataStart);
  if (data.byteLength !== needed) throw invalid(`has ${data.byteLength} bytes of data where its shape needs ${needed}`);
  const ordered = header.fortranOrder && header.shape.length > 1 ? toRowMajor(data, header.shape, TENSOR_TYPES[type].bytes) : data;
  return { type, shape: header.shape, data: bigEndian ? swapBytes(ordered, TENSOR_TYPES[type].bytes) : ordered };
}

/** Headers were Latin-1 before version 3.0, and UTF-8 since; for the types that are carried both are ASCII. */
function decodeHeader(bytes: Uint8Array, major: number): string {
  return new TextDecoder(major === 3 ? 'utf-8' : 'latin1').decode(bytes);
}

function elementType(header: NpyHeader, name: string): { type: TensorType; bigEndian: boolean } {
  const unsupported = (type: string) => new HearthlendError('TENSOR_TYPE_UNSUPPORTED', { name, type });
  if (header.descr === null) throw unsupported('record (a structured dtype)');
  const [, order, kind, size] = /^([<>=|]?)([a-zA-Z])(\d*)/.exec(header.descr) ?? [];
  const npy = `${kind}${size}`;
  const found = Object.entries(TENSOR_TYPES).find(([, names]) => names.npy.slice(1) === npy);
  if (found === undefined || header.descr.length !== `${order}${npy}`.length) {
    const word = kind === undefined ? undefined : KINDS[kind];
    throw unsupported(word === undefined ? header.descr : `${word} (${header.descr})`);
  }
  const [type, { bytes }] = found as [TensorType, { bytes: number }];
  return { type, bigEndian: order === '>' && bytes > 1 };
}

/** Column-major to row-major: walks the result in order, keeping the place in the source as it goes. */
function toRowMajor(data: Uint8Array, shape: readonly number[], bytes: number): Uint8Array {
  const out = new Uint8Array(data.byteLength);
  const strides: number[] = [];
  let stride = bytes;
  for (const size of shape) {
    strides.push(stride);
    stride *= size;
  }
  const index = shape.map(() => 0);
  let from = 0;
  for (let to = 0; to < out.byteLength; to += bytes) {
    for (let byte = 0; byte < bytes; byte += 1) out[to + byte] = data[from + byte] as number;
    for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
      const next = (index[axis] as number) + 1;
      if (next < (shape[axis] as number)) {
        index[axis] = next;
        from += strides[axis] as number;
        break;
      }
      from -= (next - 1) * (strides[axis] as number);
      index[axis] = 0;
    }
  }
  return out;
}

function swapBytes(data: Uint8Array, bytes: number): Uint8Array {
  const swapped = Buffer.from(data);
  if (bytes === 2) swapped.swap16();
  if (bytes === 4) swapped.swap32();
  if (bytes === 8) swapped.swap64();
  return new Uint8Array(swapped.buffer, swapped.byteOffset, swapped.byteLength);
}

/** What comes before the data of a tensor in .npy format 1.0, as NumPy writes it. */
export function encodeNpyPrefix(tensor: Tensor): Uint8Array {
  const shape = tensor.shape.length === 1 ? `(${tensor.shape[0]},)` : `(${tensor.shape.join(', ')})`;
  const header = `{'descr': '${TENSOR_TYPES[tensor.type].npy}', 'fortran_order': False, 'shape': ${shape}, }`;
  const total = Math.ceil((10 + header.length + 1) / ALIGNMENT) * ALIGNMENT;
  const prefix = new Uint8Array(total).fill(0x20);
  prefix.set([...MAGIC, 1, 0]);
  new DataView(prefix.buffer).setUint16(8, total - 10, true);
  prefix.set(new TextEncoder().encode(header), 10);
  prefix[total - 1] = 0x0a;
  return prefix;
}

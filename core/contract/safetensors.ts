import { z } from 'zod';
import { HearthlendError } from './errors.ts';
import { elementCount, TENSOR_TYPES, type Tensor, type Tensors, type TensorType } from './tensor.ts';

/** Bounds that hold for every safetensors blob. The header's is the format's own reference implementation's. */
const MAX_HEADER_BYTES = 100_000_000;
const MAX_TENSORS = 65_536;
const MAX_DIMENSIONS = 32;

const TYPE_BY_NAME = new Map<string, TensorType>(
  Object.entries(TENSOR_TYPES).map(([type, names]) => [names.safetensors, type as TensorType]),
);
const HeaderEntry = z.strictObject({
  dtype: z.string(),
  shape: z.array(z.int().min(0)).max(MAX_DIMENSIONS),
  data_offsets: z.tuple([z.int().min(0), z.int().min(0)]),
});

/**
 * Named tensors as one safetensors blob: u64 little-endian header length, JSON header padded with spaces to 8 bytes, then the data, packed
 * in the map's order. Equal tensors in equal order give equal bytes. Source: github.com/huggingface/safetensors, "Format".
 * @throws TENSOR_INVALID where a tensor's bytes don't fit its shape, or its name is `__metadata__`.
 */
export function encodeSafetensors(tensors: Tensors): Uint8Array {
  const header: string[] = [];
  let offset = 0;
  for (const [name, tensor] of tensors) {
    if (name === '__metadata__') throw new HearthlendError('TENSOR_INVALID', { name, detail: 'the name is reserved by safetensors' });
    const expected = elementCount(tensor.shape) * TENSOR_TYPES[tensor.type].bytes;
    if (tensor.data.byteLength !== expected) {
      throw new HearthlendError('TENSOR_INVALID', { name, detail: `${tensor.data.byteLength} bytes where its shape needs ${expected}` });
    }
    const entry = { dtype: TENSOR_TYPES[tensor.type].safetensors, shape: tensor.shape, data_offsets: [offset, offset + expected] };
    header.push(`${JSON.stringify(name)}:${JSON.stringify(entry)}`);
    offset += expected;
  }
  const json = new TextEncoder().encode(`{${header.join(',')}}`);
  const headerBytes = Math.ceil(json.byteLength / 8) * 8;
  const blob = new Uint8Array(8 + headerBytes + offset);
  new DataView(blob.buffer).setBigUint64(0, BigInt(headerBytes), true);
  blob.set(json, 8);
  blob.fill(0x20, 8 + json.byteLength, 8 + headerBytes);
  let at = 8 + headerBytes;
  for (const tensor of tensors.values()) {
    blob.set(tensor.data, at);
    at += tensor.data.byteLength;
  }
  return blob;
}

/**
 * Reads a safetensors blob. The tensors are views into `blob`, not copies. Refuses what the reference implementation refuses: offsets that
 * overlap, leave gaps, run past the end or disagree with type and shape; and what ONNX Runtime can't take (BF16, F8).
 * @throws TENSOR_INVALID, TENSOR_TYPE_UNSUPPORTED
 */
export function decodeSafetensors(blob: Uint8Array): Tensors {
  const invalid = (detail: string, name = '') => new HearthlendError('TENSOR_INVALID', { name, detail });
  if (blob.byteLength < 8) throw invalid('shorter than its 8-byte length field');
  // Plain bytes: a Buffer's slice() is a view, where a Uint8Array's is the copy that readers of a tensor count on.
  const bytes = new Uint8Array(blob.buffer, blob.byteOffset, blob.byteLength);
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  const headerBytes = view.getBigUint64(0, true);
  if (headerBytes > BigInt(Math.min(MAX_HEADER_BYTES, blob.byteLength - 8))) throw invalid('its header runs past its end');
  const dataStart = 8 + Number(headerBytes);
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(blob.subarray(8, dataStart)));
  } catch {
    throw invalid('its header is not JSON');
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) throw invalid('its header is not a JSON object');
  const entries = Object.entries(header).filter(([name]) => name !== '__metadata__');
  if (entries.length > MAX_TENSORS) throw invalid(`more than ${MAX_TENSORS} tensors`);

  const parsed = entries.map(([name, raw]) => {
    const entry = HeaderEntry.safeParse(raw);
    if (!entry.success) throw invalid('its header entry is malformed', name);
    const type = TYPE_BY_NAME.get(entry.data.dtype);
    if (type === undefined) throw new HearthlendError('TENSOR_TYPE_UNSUPPORTED', { name, type: entry.data.dtype });
    const [begin, end] = entry.data.data_offsets;
    if (end - begin !== elementCount(entry.data.shape) * TENSOR_TYPES[type].bytes) throw invalid('its size disagrees with its shape', name);
    return { name, type, shape: entry.data.shape, begin, end };
  });
  let expected = 0;
  for (const { name, begin, end } of parsed.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== expected) throw invalid('its data overlaps another tensor or leaves a gap', name);
    expected = end;
  }
  if (dataStart + expected !== blob.byteLength)
    throw invalid(`${blob.byteLength - dataStart} bytes of data where the header names ${expected}`);
  return new Map(
    parsed.map(({ name, type, shape, begin, end }): [string, Tensor] => [
      name,
      { type, shape, data: bytes.subarray(dataStart + begin, dataStart + end) },
    ]),
  );
}

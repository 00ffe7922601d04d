import type { TensorFacts } from '../onnx/tensor.ts';
import { invalidModel } from '../onnx/wire.ts';

/** Bits of one element by TensorProto.DataType's number; 0 for strings, null for "undefined". Source: onnx.proto. */
const ELEMENT_BITS: ReadonlyArray<number | null> = [
  ...[null, 32, 8, 8, 16, 16, 32, 64, 0, 8, 16, 64, 32, 64, 64, 128, 16],
  // float8 in four kinds, uint4, int4, float4e2m1, float8e8m0, uint2, int2
  ...[8, 8, 8, 8, 4, 4, 4, 8, 2, 2],
];
const STRING_BITS = 0;

/**
 * Bytes that a tensor of this shape takes spread out in memory; null where its type has no fixed size.
 * @throws MODEL_INVALID for a negative size, or one beyond what a machine can count exactly
 */
export function shapeBytes(type: number, shape: readonly number[]): number | null {
  const bits = ELEMENT_BITS[type];
  if (bits === undefined) throw invalidModel(`a tensor in it is of type ${type}, which there is not`);
  const elements = elementsOf(shape);
  if (bits === null || bits === STRING_BITS) return null;
  const bytes = Math.ceil((elements * bits) / 8);
  if (!Number.isSafeInteger(bytes)) throw invalidModel(`a tensor in it has the impossible shape ${shape.join(' × ')}`);
  return bytes;
}

function elementsOf(shape: readonly number[]): number {
  let elements = 1;
  for (const size of shape) {
    if (!(size >= 0)) throw invalidModel(`a tensor in it has a size of ${size}`);
    elements *= size;
    if (!Number.isSafeInteger(elements)) throw invalidModel(`a tensor in it has the impossible shape ${shape.join(' × ')}`);
  }
  return elements;
}

/**
 * What is wrong with a tensor's data, in words for after its name; null where the bytes there are what type and shape need. Pure.
 * @param fileBytes size of the file that its external data is in; null where there is none
 */
export function wrongData(tensor: TensorFacts, fileBytes: number | null): string | null {
  const { type, shape, rawBytes, typed, strings, external } = tensor;
  const elements = elementsOf(shape);
  const bytes = shapeBytes(type, shape);
  const of = `[${shape.join(', ')}] needs`;
  if (tensor.isExternal) {
    if (external === null) return 'says that its data is in a file, and not in which';
    if (rawBytes !== null || typed.fields > 0 || strings.count > 0) return 'has its data twice';
    if (bytes === null) return 'is of a type that can not lie in a file';
    if (external.length !== null && external.length !== bytes) return `${of} ${bytes} bytes, and takes ${external.length} of its file`;
    const end = external.offset + bytes;
    return fileBytes !== null && end > fileBytes ? `ends at byte ${end} of a file of ${fileBytes}` : null;
  }
  if ((rawBytes === null ? 0 : 1) + typed.fields + (strings.count > 0 ? 1 : 0) > 1) return 'has its data twice';
  if (ELEMENT_BITS[type] === null) return rawBytes || typed.fields > 0 || strings.count > 0 ? 'has data of no type' : null;
  if (bytes === null) return strings.count === elements ? null : `${of} ${elements} texts, and has ${strings.count}`;
  if (strings.count > 0) return 'has texts for numbers';
  if (typed.fields === 0) return (rawBytes ?? 0) === bytes ? null : `${of} ${bytes} bytes, and has ${rawBytes ?? 0}`;
  // Complex numbers are two elements each there; those of 4 and of 2 bits are packed.
  const wanted = typedElements(type, elements);
  if (typed.least <= wanted && wanted <= typed.most) return null;
  return `${of} ${wanted} numbers, and has ${typed.least === typed.most ? typed.most : `at most ${typed.most}`}`;
}

function typedElements(type: number, elements: number): number {
  const bits = ELEMENT_BITS[type] as number;
  if (type === 14 || type === 15) return 2 * elements;
  return bits < 8 ? Math.ceil((elements * bits) / 8) : elements;
}

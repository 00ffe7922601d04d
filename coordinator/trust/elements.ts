import { TENSOR_TYPES, type Tensor, type TensorType } from '../../core/contract/tensor.ts';

export function isFloat(type: TensorType): boolean {
  return type === 'float16' || type === 'float32' || type === 'float64';
}

/** A tensor's floats, as numbers. */
export function floatsOf({ type, data }: Tensor): Float64Array {
  const { buffer, byteOffset, byteLength } = aligned(data, TENSOR_TYPES[type].bytes);
  if (type === 'float64') return new Float64Array(buffer, byteOffset, byteLength / 8);
  if (type === 'float32') return Float64Array.from(new Float32Array(buffer, byteOffset, byteLength / 4));
  return Float64Array.from(new Uint16Array(buffer, byteOffset, byteLength / 2), fromHalf);
}

/** A tensor's whole numbers; those of 64 bits beyond 2^53 lose their last digits, which no index has. */
export function integersOf({ type, data }: Tensor): ArrayLike<number> {
  const { buffer, byteOffset, byteLength } = aligned(data, TENSOR_TYPES[type].bytes);
  switch (type) {
    case 'int64':
      return Array.from(new BigInt64Array(buffer, byteOffset, byteLength / 8), Number);
    case 'uint64':
      return Array.from(new BigUint64Array(buffer, byteOffset, byteLength / 8), Number);
    case 'int32':
      return new Int32Array(buffer, byteOffset, byteLength / 4);
    case 'uint32':
      return new Uint32Array(buffer, byteOffset, byteLength / 4);
    case 'int16':
      return new Int16Array(buffer, byteOffset, byteLength / 2);
    case 'uint16':
      return new Uint16Array(buffer, byteOffset, byteLength / 2);
    case 'int8':
      return new Int8Array(buffer, byteOffset, byteLength);
    default:
      return new Uint8Array(buffer, byteOffset, byteLength);
  }
}

/** The same bytes, copied only where they don't lie aligned to their element's size. This machine and the format are both little-endian. */
function aligned(data: Uint8Array, size: number): { buffer: ArrayBuffer; byteOffset: number; byteLength: number } {
  const { buffer, byteOffset, byteLength } = data.byteOffset % size === 0 ? data : Uint8Array.from(data);
  return { buffer: buffer as ArrayBuffer, byteOffset, byteLength };
}

/** IEEE 754 binary16. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

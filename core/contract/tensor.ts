import { z } from 'zod';

/**
 * The tensor types that ONNX Runtime and safetensors share, with the name each format gives them and the bytes of one element.
 * Sources: onnxruntime-common `Tensor.Type`, the safetensors header format, NumPy's array-interface type strings.
 */
export const TENSOR_TYPES = {
  bool: { safetensors: 'BOOL', npy: '|b1', bytes: 1 },
  uint8: { safetensors: 'U8', npy: '|u1', bytes: 1 },
  int8: { safetensors: 'I8', npy: '|i1', bytes: 1 },
  uint16: { safetensors: 'U16', npy: '<u2', bytes: 2 },
  int16: { safetensors: 'I16', npy: '<i2', bytes: 2 },
  float16: { safetensors: 'F16', npy: '<f2', bytes: 2 },
  uint32: { safetensors: 'U32', npy: '<u4', bytes: 4 },
  int32: { safetensors: 'I32', npy: '<i4', bytes: 4 },
  float32: { safetensors: 'F32', npy: '<f4', bytes: 4 },
  uint64: { safetensors: 'U64', npy: '<u8', bytes: 8 },
  int64: { safetensors: 'I64', npy: '<i8', bytes: 8 },
  float64: { safetensors: 'F64', npy: '<f8', bytes: 8 },
} as const;

export type TensorType = keyof typeof TENSOR_TYPES;
export const TensorType = z.enum(Object.keys(TENSOR_TYPES) as [TensorType, ...TensorType[]]);

/** One tensor: little-endian, row-major bytes of `shape` elements of `type`. A scalar has the shape []. */
export interface Tensor {
  type: TensorType;
  shape: number[];
  data: Uint8Array;
}

/** Named tensors, in the order in which they are written. */
export type Tensors = Map<string, Tensor>;

/** Elements in a shape; NaN where a dimension is not a whole number ≥ 0 or the product is not exact. */
export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const dimension of shape) {
    if (!Number.isSafeInteger(dimension) || dimension < 0) return Number.NaN;
    count *= dimension;
  }
  return Number.isSafeInteger(count) ? count : Number.NaN;
}

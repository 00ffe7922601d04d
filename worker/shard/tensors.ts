import type { Tensor as OrtTensor } from 'onnxruntime-node';
import type { Tensor, TensorType } from '../../core/contract/tensor.ts';
import type { Ort } from './session.ts';

/** Numbers of which a part can be looked at without a copy. */
export type Floats = ArrayLike<number> & { subarray(begin: number, end?: number): ArrayLike<number> };
type HalfArray = new (buffer: ArrayBufferLike, byteOffset: number, length: number) => Floats;

/** Reads float16 as numbers. ES2024's types don't have it yet; every Node and every page that this runs in has, until it is hidden. */
export const Float16Array = (globalThis as unknown as { Float16Array: HalfArray }).Float16Array;

type View = new (buffer: ArrayBufferLike, byteOffset: number, length: number) => ArrayBufferView;

/** The array in which ONNX Runtime takes and gives each type. */
const VIEWS: Record<TensorType, View & { BYTES_PER_ELEMENT: number }> = {
  bool: Uint8Array,
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  // Float16Array is hidden before ONNX Runtime sees it.
  float16: Uint16Array,
  uint32: Uint32Array,
  int32: Int32Array,
  float32: Float32Array,
  uint64: BigUint64Array,
  int64: BigInt64Array,
  float64: Float64Array,
};

/** The elements of a tensor, whatever their type. */
export interface Elements extends ArrayBufferView {
  readonly length: number;
  subarray(from: number, to: number): Elements;
  set(values: Elements, offset: number): void;
}

/** Zeros in the array in which ONNX Runtime takes this type. */
export function newElements(type: TensorType, count: number): Elements {
  const view = VIEWS[type];
  return new view(new ArrayBuffer(count * view.BYTES_PER_ELEMENT), 0, count) as unknown as Elements;
}

/** A tensor's elements, as ONNX Runtime gives them. */
export function elementsOf(tensor: OrtTensor): Elements {
  return tensor.data as unknown as Elements;
}

/** A tensor for ONNX Runtime over the same bytes. They are copied only where they don't lie aligned to their element's size. */
export function toOrtTensor(ort: Ort, { type, shape, data }: Tensor): OrtTensor {
  const view = VIEWS[type];
  const aligned = data.byteOffset % view.BYTES_PER_ELEMENT === 0 ? data : new Uint8Array(data);
  const elements = new view(aligned.buffer, aligned.byteOffset, aligned.byteLength / view.BYTES_PER_ELEMENT);
  return new ort.Tensor(type, elements as never, shape);
}

/** A tensor of ONNX Runtime's as its bytes, not copied. Its type was found to be carried when the model was loaded. */
export function fromOrtTensor(tensor: OrtTensor): Tensor {
  const { buffer, byteOffset, byteLength } = tensor.data as unknown as ArrayBufferView;
  return { type: tensor.type as TensorType, shape: [...tensor.dims], data: new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength) };
}

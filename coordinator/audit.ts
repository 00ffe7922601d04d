import { ACROSS_BACKENDS } from '../core/contract/backends.ts';
import type { Shard } from '../core/contract/shard.ts';
import type { Tensor, Tensors, TensorType } from '../core/contract/tensor.ts';

/**
 * Worker and coordinator are one trust domain here, so an audit shows faults of the machine (a bad driver, overclocked memory), not honesty. That is
 * worth one computation in twenty at most.
 */
export const MAX_LOCAL_AUDITS = 0.05;

/** Relative L2 up to which floats agree: the same model on one backend; by type. Integers and bools agree when they are equal. */
const TOLERANCE: Partial<Record<TensorType, number>> = { float16: 1e-2, float32: 1e-4, float64: 1e-4 };

/** Whether this result is computed again. `draw` is uniform in [0, 1). Never the owner's own work: nobody asked for it to be done twice. */
export function drawsAudit(origin: Shard['origin'], probability: number, draw: number): boolean {
  return origin !== 'own' && draw < Math.min(probability, MAX_LOCAL_AUDITS);
}

/**
 * The first way in which two results of a shard differ beyond tolerance, in words; undefined where they agree.
 * @param across whether they come from different backends, whose sums are ordered otherwise
 */
export function disagreement(claimed: Tensors, reference: Tensors, across = false): string | undefined {
  for (const [name, expected] of reference) {
    const actual = claimed.get(name);
    if (actual === undefined) return `the output ${name} is missing`;
    if (actual.type !== expected.type || actual.shape.join() !== expected.shape.join()) {
      return `${name} is ${actual.type}[${actual.shape}] where ${expected.type}[${expected.shape}] was computed`;
    }
    const difference = differenceOf(name, actual, expected, across);
    if (difference !== undefined) return difference;
  }
  const extra = [...claimed.keys()].find((name) => !reference.has(name));
  return extra === undefined ? undefined : `the output ${extra} is not the model's`;
}

function differenceOf(name: string, actual: Tensor, expected: Tensor, across: boolean): string | undefined {
  const onOne = TOLERANCE[expected.type];
  if (onOne === undefined) {
    const at = expected.data.findIndex((byte, index) => byte !== actual.data[index]);
    return at === -1 ? undefined : `${name} differs from byte ${at} on`;
  }
  const tolerance = across ? Math.max(onOne, ACROSS_BACKENDS) : onOne;
  const distance = relativeDistance(floats(actual), floats(expected), expected.shape.at(-1) ?? 1);
  return distance <= tolerance ? undefined : `${name} differs by ${distance.toExponential(1)} where ${tolerance} is allowed`;
}

/**
 * The largest distance of a row (a token's logits, say) to its reference, relative to that row's length or, for rows that are almost nothing, to that
 * of the tensor's average row. Values that are not finite have to be the same ones.
 */
function relativeDistance(actual: Float64Array, expected: Float64Array, rowLength: number): number {
  const rows = rowLength === 0 ? 0 : expected.length / rowLength;
  let total = 0;
  for (const value of expected) if (Number.isFinite(value)) total += value * value;
  const average = total / Math.max(rows, 1);
  let worst = 0;
  for (let row = 0; row < rows; row += 1) {
    let distance = 0;
    let length = 0;
    for (let index = row * rowLength; index < (row + 1) * rowLength; index += 1) {
      const want = expected[index] as number;
      const have = actual[index] as number;
      if (Object.is(have, want)) {
        if (Number.isFinite(want)) length += want * want;
        continue;
      }
      if (!Number.isFinite(want) || !Number.isFinite(have)) return Number.POSITIVE_INFINITY;
      distance += (have - want) ** 2;
      length += want * want;
    }
    if (distance > 0) worst = Math.max(worst, Math.sqrt(distance / Math.max(length, average)));
  }
  return worst;
}

function floats(tensor: Tensor): Float64Array {
  const view = new DataView(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
  if (tensor.type === 'float64') return Float64Array.from({ length: view.byteLength / 8 }, (_, index) => view.getFloat64(index * 8, true));
  if (tensor.type === 'float32') return Float64Array.from({ length: view.byteLength / 4 }, (_, index) => view.getFloat32(index * 4, true));
  return Float64Array.from({ length: view.byteLength / 2 }, (_, index) => fromHalf(view.getUint16(index * 2, true)));
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

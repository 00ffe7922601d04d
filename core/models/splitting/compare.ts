import type { Tensor, Tensors } from '../../contract/tensor.ts';

/**
 * How far the stages' outputs are from the whole model's: 0 where every bit is the same, else the largest relative L2 distance of a row; infinite where
 * they differ in kind, in whole numbers, or in what is not finite. Pure.
 */
export function distanceOf(whole: Tensors, stages: Tensors): { distance: number; name: string } {
  let worst = { distance: 0, name: '' };
  for (const [name, expected] of whole) {
    const actual = stages.get(name);
    const distance = actual === undefined ? Number.POSITIVE_INFINITY : tensorDistance(expected, actual);
    if (distance > worst.distance) worst = { distance, name };
  }
  return worst;
}

function tensorDistance(expected: Tensor, actual: Tensor): number {
  if (expected.type !== actual.type || expected.shape.join() !== actual.shape.join()) return Number.POSITIVE_INFINITY;
  if (Buffer.from(expected.data.buffer, expected.data.byteOffset, expected.data.byteLength).equals(actual.data)) return 0;
  if (!expected.type.startsWith('float')) return Number.POSITIVE_INFINITY;
  const [wanted, had] = [floatsOf(expected), floatsOf(actual)];
  const rowLength = Math.max(1, expected.shape.at(-1) ?? 1);
  let total = 0;
  for (const value of wanted) if (Number.isFinite(value)) total += value * value;
  // Rows that are almost nothing are held against the average one.
  const average = total / Math.max(1, wanted.length / rowLength);
  let worst = 0;
  for (let row = 0; row < wanted.length; row += rowLength) {
    let [difference, length] = [0, 0];
    for (let at = row; at < row + rowLength; at += 1) {
      const [want, have] = [wanted[at] as number, had[at] as number];
      if (Object.is(want, have)) {
        if (Number.isFinite(want)) length += want * want;
        continue;
      }
      if (!Number.isFinite(want) || !Number.isFinite(have)) return Number.POSITIVE_INFINITY;
      difference += (want - have) ** 2;
      length += want * want;
    }
    if (difference > 0) worst = Math.max(worst, Math.sqrt(difference / Math.max(length, average)));
  }
  return worst;
}

function floatsOf({ type, data }: Tensor): Float64Array {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (type === 'float64') return Float64Array.from({ length: data.byteLength / 8 }, (_, at) => view.getFloat64(8 * at, true));
  if (type === 'float32') return Float64Array.from({ length: data.byteLength / 4 }, (_, at) => view.getFloat32(4 * at, true));
  return Float64Array.from({ length: data.byteLength / 2 }, (_, at) => halfValue(view.getUint16(2 * at, true)));
}

function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const [exponent, fraction] = [(bits >> 10) & 0x1f, bits & 0x3ff];
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Whether every row of two tensors of logits has its maximum in the same place. */
export function sameChoices(expected: Tensor, actual: Tensor): boolean {
  const [wanted, had] = [floatsOf(expected), floatsOf(actual)];
  const length = Math.max(1, expected.shape.at(-1) ?? 1);
  for (let row = 0; row < wanted.length; row += length) {
    if (highest(wanted, row, length) !== highest(had, row, length)) return false;
  }
  return true;
}

function highest(values: Float64Array, from: number, length: number): number {
  let best = from;
  for (let at = from + 1; at < from + length; at += 1) if ((values[at] as number) > (values[best] as number)) best = at;
  return best - from;
}

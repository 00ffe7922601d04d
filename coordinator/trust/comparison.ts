import { elementCount, type Tensor, type Tensors } from '../../core/contract/tensor.ts';
import { floatsOf, integersOf, isFloat } from './elements.ts';

export interface ComparisonOptions {
  /** Relative L2 up to which rows of floats agree, by the tensor's type. */
  tolerance: (type: Tensor['type']) => number;
  /** What the shard was given. An output of an input's own shape is compared by the change that was made to it. */
  inputs?: Tensors;
  /** Outputs of indices by name, with the values that they point into: two that are almost equal are told from a wrong answer by them. */
  indices?: ReadonlyMap<string, Tensor>;
}

export interface Comparison {
  /** The largest distance of a row of floats; 0 where there is none. */
  distance: number;
  /** The first way in which the two differ beyond tolerance, in words; undefined where they agree. */
  detail: string | undefined;
}

/** Compares two results of a shard: floats by distance, whole numbers and bools exactly, indices up to near-ties. Pure. */
export function compareOutputs(claimed: Tensors, reference: Tensors, options: ComparisonOptions): Comparison {
  let furthest = 0;
  for (const [name, expected] of reference) {
    const actual = claimed.get(name);
    if (actual === undefined) return { distance: furthest, detail: `the output ${name} is missing` };
    if (actual.type !== expected.type || actual.shape.join() !== expected.shape.join()) {
      const detail = `${name} is ${actual.type}[${actual.shape}] where ${expected.type}[${expected.shape}] was computed`;
      return { distance: furthest, detail };
    }
    if (isFloat(expected.type)) {
      const tolerance = options.tolerance(expected.type);
      const distance = rowDistance(actual, expected, changedInput(expected, options.inputs));
      furthest = Math.max(furthest, distance);
      if (!(distance <= tolerance)) {
        return { distance: furthest, detail: `${name} differs by ${distance.toExponential(1)} where ${tolerance} is allowed` };
      }
    } else {
      const detail = wholeNumbersDiffer(name, actual, expected, options);
      if (detail !== undefined) return { distance: furthest, detail };
    }
  }
  const extra = [...claimed.keys()].find((name) => !reference.has(name));
  return { distance: furthest, detail: extra === undefined ? undefined : `the output ${extra} is not the model's` };
}

function wholeNumbersDiffer(name: string, actual: Tensor, expected: Tensor, { indices, tolerance }: ComparisonOptions): string | undefined {
  const at = expected.data.findIndex((byte, index) => byte !== actual.data[index]);
  if (at === -1) return undefined;
  const values = indices?.get(name);
  const axes = values === undefined ? [] : axesOf(values.shape, expected.shape);
  if (values === undefined || axes.length === 0) return `${name} differs from byte ${at} on`;
  // Shapes alone may leave it open along which axis the indices count.
  const details = axes.map((axis) => indicesDiffer(name, actual, expected, values, axis, tolerance(values.type)));
  return details.includes(undefined) ? undefined : details[0];
}

/** An input of the same type and shape as this output: a stage hands its hidden state on. Of several, the one that was changed least. */
function changedInput(output: Tensor, inputs: Tensors | undefined): Float64Array | undefined {
  if (inputs === undefined || elementCount(output.shape) === 0) return undefined;
  const same = [...inputs.values()].filter(({ type, shape }) => type === output.type && shape.join() === output.shape.join());
  const after = floatsOf(output);
  const change = (before: Float64Array) => before.reduce((sum, value, at) => sum + (value - (after[at] as number)) ** 2, 0);
  return same.map(floatsOf).toSorted((one, other) => change(one) - change(other))[0];
}

/** A change smaller than this part of a row can't be told from the error of computing it. */
const LEAST_CHANGE = 1e-3;

/**
 * The largest distance of a row (a token's logits, say) to its reference: relative to that row's length or, for rows that are almost nothing, to that of
 * the tensor's average row; with the stage's input given, relative to the change that the stage makes to the row. Values that are not finite have to be
 * the same ones. Rows lie along the last axis.
 */
function rowDistance(claimed: Tensor, reference: Tensor, input?: Float64Array): number {
  const actual = floatsOf(claimed);
  const expected = floatsOf(reference);
  const width = reference.shape.at(-1) ?? 1;
  const rows = width === 0 ? 0 : expected.length / width;
  let total = 0;
  for (const value of expected) if (Number.isFinite(value)) total += value * value;
  const average = total / Math.max(rows, 1);
  let worst = 0;
  for (let row = 0; row < rows; row += 1) {
    let distance = 0;
    let length = 0;
    let change = 0;
    for (let at = row * width; at < (row + 1) * width; at += 1) {
      const want = expected[at] as number;
      const have = actual[at] as number;
      if (Number.isFinite(want)) {
        length += want * want;
        if (input !== undefined) change += (want - (input[at] as number)) ** 2;
      }
      if (Object.is(have, want)) continue;
      if (!Number.isFinite(want) || !Number.isFinite(have)) return Number.POSITIVE_INFINITY;
      distance += (have - want) ** 2;
    }
    if (distance === 0) continue;
    const whole = Math.max(length, average);
    const scale = input === undefined ? whole : Math.max(change, LEAST_CHANGE ** 2 * whole);
    worst = Math.max(worst, Math.sqrt(distance / scale));
  }
  return worst;
}

/**
 * Whether indices (of largest or smallest values) point at values that are as good as those the reference points at: no further apart than `tolerance` of
 * the row that they are taken from, and none twice.
 */
function indicesDiffer(
  name: string,
  actual: Tensor,
  expected: Tensor,
  values: Tensor,
  axis: number,
  tolerance: number,
): string | undefined {
  const size = values.shape[axis] as number;
  const inner = values.shape.slice(axis + 1).reduce((product, each) => product * each, 1);
  const picked = elementCount(expected.shape) / (elementCount(values.shape) / size);
  const claims = integersOf(actual);
  const wants = integersOf(expected);
  const source = floatsOf(values);
  const lines = elementCount(values.shape) / size;
  for (let line = 0; line < lines; line += 1) {
    const outer = Math.floor(line / inner);
    const valueAt = (index: number) => source[(outer * size + index) * inner + (line % inner)] as number;
    let length = 0;
    for (let index = 0; index < size; index += 1) length += valueAt(index) ** 2;
    const room = tolerance * Math.sqrt(length);
    const seen = new Set<number>();
    for (let rank = 0; rank < picked; rank += 1) {
      const at = (outer * picked + rank) * inner + (line % inner);
      const claim = claims[at] as number;
      const want = wants[at] as number;
      const index = claim < 0 ? claim + size : claim;
      if (index < 0 || index >= size || seen.has(index)) return `${name} points at ${claim} where ${size} values are`;
      seen.add(index);
      if (claim !== want && !(Math.abs(valueAt(index) - valueAt(want < 0 ? want + size : want)) <= room)) {
        return `${name} points at ${claim} where ${want} was computed, and their values are no near-tie`;
      }
    }
  }
  return undefined;
}

/** Axes of the values along which indices of this shape may count: the one that is missing in it, or that is of another size. */
function axesOf(values: readonly number[], indices: readonly number[]): number[] {
  return values.flatMap((_, axis) => {
    const without = values.toSpliced(axis, 1);
    const dropped = indices.join() === without.join();
    const kept = indices.length === values.length && indices.toSpliced(axis, 1).join() === without.join();
    return dropped || kept ? [axis] : [];
  });
}

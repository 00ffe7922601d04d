import { HearthlendError } from '../../contract/errors.ts';
import type { ModelValue } from '../../contract/jobs.ts';
import { elementCount, TENSOR_TYPES, type Tensor, type Tensors, type TensorType } from '../../contract/tensor.ts';
import { cacheLayer } from './kinds.ts';

/** One way to fill what a model leaves open: how many tokens go in now, and how many are in the cache. */
export interface Sample {
  tokens: number;
  past: number;
}

/** Different in every size that varies, so that sizes which are equal in both don't vary. */
export const SAMPLES: readonly Sample[] = [
  { tokens: 5, past: 0 },
  { tokens: 3, past: 4 },
];

/** Larger inputs would only take longer. */
const MAX_SAMPLE_BYTES = 2 ** 28;
/** Sizes for images where the model leaves them open: most networks halve them five times. */
const PIXELS = [224, 256] as const;
/** Ids that every vocabulary has. */
const SMALLEST_VOCABULARY = 250;

/**
 * Inputs for a model, made from what it declares: tokens, masks of ones, positions that count on, and noise of [-1, 1) elsewhere. The same each time.
 * @throws MODEL_INVALID where it wants more than any check needs
 */
export function sampleInputs(inputs: readonly ModelValue[], sample: Sample): Tensors {
  return new Map(inputs.map((input, at) => [input.name, sampleInput(input, sample, at)]));
}

function sampleInput({ name, type, shape }: ModelValue, sample: Sample, seed: number): Tensor {
  if (type === null) throw new HearthlendError('MODEL_INVALID', { detail: `the input ${name} has no type` });
  const sizes = (shape ?? []).map((size, axis) => (typeof size === 'number' ? size : openSize(name, size, axis, sample)));
  const count = elementCount(sizes);
  if (!(count * TENSOR_TYPES[type].bytes <= MAX_SAMPLE_BYTES)) {
    throw new HearthlendError('MODEL_INVALID', { detail: `its input ${name} of [${sizes.join(', ')}] is too large to try it` });
  }
  const noise = seeded(seed);
  const valueAt = (at: number): number => {
    if (name === 'attention_mask' || name.endsWith('logits_to_keep')) return 1;
    if (name === 'use_cache_branch') return sample.past > 0 ? 1 : 0;
    if (name === 'position_ids') return sample.past + (at % Math.max(1, sizes.at(-1) ?? 1));
    if (type.startsWith('float')) return 2 * noise() - 1;
    if (type === 'bool' || !name.endsWith('_ids')) return Math.floor(2 * noise());
    return name === 'token_type_ids' ? 0 : 1 + Math.floor((SMALLEST_VOCABULARY - 1) * noise());
  };
  return { type, shape: sizes, data: encode(type, count, valueAt) };
}

function openSize(name: string, size: string | null, axis: number, { tokens, past }: Sample): number {
  const isLater = past > 0 ? 1 : 0;
  if (cacheLayer(name) !== undefined) return axis === 0 ? 1 : past;
  if (name === 'attention_mask') return axis === 0 ? 1 : past + tokens;
  if (name === 'input_ids' || name === 'position_ids' || name === 'inputs_embeds') return axis === 0 ? 1 : tokens;
  if (size !== null && /height|width/i.test(size)) return PIXELS[isLater];
  return axis === 0 ? 1 + isLater : tokens;
}

/** A linear congruential generator: Numerical Recipes' constants. */
function seeded(seed: number): () => number {
  let state = (seed * 2654435761 + 1) >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function encode(type: TensorType, count: number, valueAt: (at: number) => number): Uint8Array {
  const data = new Uint8Array(count * TENSOR_TYPES[type].bytes);
  const view = new DataView(data.buffer);
  for (let at = 0; at < count; at += 1) {
    const value = valueAt(at);
    if (type === 'float32') view.setFloat32(4 * at, value, true);
    else if (type === 'float64') view.setFloat64(8 * at, value, true);
    else if (type === 'float16') view.setUint16(2 * at, halfOf(value), true);
    else if (TENSOR_TYPES[type].bytes === 8) view.setBigInt64(8 * at, BigInt(value), true);
    else if (TENSOR_TYPES[type].bytes === 4) view.setInt32(4 * at, value, true);
    else if (TENSOR_TYPES[type].bytes === 2) view.setInt16(2 * at, value, true);
    else view.setUint8(at, value);
  }
  return data;
}

/** Float16's bits of a number in [-1, 1), cut off; what is smaller than its smallest normal number becomes 0. */
function halfOf(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0] as number;
  const exponent = ((bits >>> 23) & 0xff) - 112;
  const sign = (bits >>> 16) & 0x8000;
  return exponent <= 0 ? sign : sign | (exponent << 10) | ((bits >>> 13) & 0x3ff);
}
